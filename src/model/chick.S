// Chick's files as read-only data, so that the program has a model wherever it is. The build gives the directory.
#define FILE(symbol, name)            \
  .global symbol;                     \
  .global symbol##_end;               \
  .hidden symbol;                     \
  .hidden symbol##_end;               \
  .balign 64;                         \
  symbol: .incbin name;                 \
  symbol##_end: .byte 0;

  .section .rodata
FILE(linnet_chick_config, "config.json")
FILE(linnet_chick_generation_config, "generation_config.json")
FILE(linnet_chick_processor_config, "processor_config.json")
FILE(linnet_chick_tokenizer, "tokenizer.json")
FILE(linnet_chick_prompts, "prompts.json")
FILE(linnet_chick_model, "model.safetensors")
  .section .note.GNU-stack, "", %progbits
