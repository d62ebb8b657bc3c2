#include "quant/calibration_texts.h"

namespace linnet {
namespace {

constexpr CalibrationText kTexts[] = {
    {"Why does bread rise, and why does it sometimes collapse?",
     R"(Yeast eats the sugar that enzymes split off the starch and gives off carbon dioxide. Kneading
has joined the
proteins of the flour into a net, gluten, which holds the gas in small bubbles, so the dough grows. In
the oven three
things happen in turn: the gas expands, the yeast dies at about 55 °C, and above 70 °C the starch sets
and the loaf
keeps its shape.

It collapses when the net gives way before it sets:

1. **Too long a rise.** The bubbles grow until their walls tear; the dough sinks as soon as you touch it.
2. **Too cool an oven.** The crust forms late, and the gas escapes first.
3. **Too much water or too little salt.** Both make the gluten slack.

A good test: press a floured finger into the dough. If the dent comes back slowly, bake it now.)"},
    {"Write a Python function that merges overlapping intervals, with a short test.",
     R"(```python
def merge(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Returns the union of closed intervals, in ascending order."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def test_merge() -> None:
    assert merge([]) == []
    assert merge([(5, 9), (1, 3), (2, 4)]) == [(1, 4), (5, 9)]
    assert merge([(1, 10), (2, 3)]) == [(1, 10)]
```

Sorting costs O(n log n), the single pass O(n). Intervals that only touch, such as (1, 3) and (3, 5),
are joined;
use `<` instead of `<=` if they should stay apart.)"},
    {"Wie funktioniert eine Wärmepumpe? Bitte so, dass es mein Großvater versteht.",
     R"(Eine Wärmepumpe ist ein Kühlschrank, der andersherum steht. Der Kühlschrank holt Wärme aus
seinem Inneren und gibt
sie hinten an die Küche ab. Die Wärmepumpe holt Wärme aus der Luft oder aus dem Boden vor dem Haus und
gibt sie an die
Heizung ab.

Das gelingt mit einer Flüssigkeit, die schon bei Kälte verdampft. Draußen nimmt sie Wärme auf und wird
zu Gas. Ein
Verdichter presst das Gas zusammen, dabei wird es heiß, so wie die Luftpumpe beim Fahrrad warm wird.
Drinnen gibt es
seine Wärme an das Heizungswasser ab, wird wieder flüssig, und alles beginnt von vorn. Aus einer
Kilowattstunde Strom
werden auf diese Weise drei bis vier Kilowattstunden Wärme. Je kälter es draußen ist und je heißer das
Wasser werden
soll, desto weniger lohnt es sich; deshalb passen große Heizflächen und ein gedämmtes Dach gut dazu.)"},
    {"Explique en quelques phrases la différence entre le climat et la météo.",
     R"(La météo décrit l'état de l'atmosphère ici et maintenant : il pleut ce matin à Nantes, le vent
tournera dans la
soirée. Le climat, lui, est la moyenne de ces états sur trente ans au moins, avec leurs écarts :
combien de jours de
gel par hiver, à quelle fréquence revient une canicule. On choisit ses vêtements d'après la météo, mais
on construit
sa maison d'après le climat. Une semaine froide ne contredit donc pas un climat qui se réchauffe, pas
plus qu'une
mauvaise note ne change à elle seule la moyenne de l'année.)"},
    {"¿Qué debo tener en cuenta al comprar una bicicleta de segunda mano?",
     R"(Primero, la talla: con el pie en el pedal más bajo, la rodilla debe quedar casi estirada.
Después revisa estas partes:

- **Cuadro**: busca grietas y abolladuras, sobre todo en las soldaduras y debajo de la caja de pedalier.
- **Ruedas**: hazlas girar; si rozan o se mueven de lado a lado, hay que centrarlas o cambiar el eje.
- **Cadena y piñones**: si la cadena salta al pedalear con fuerza, cuenta con unos 60 euros de gasto.
- **Frenos**: deben parar la rueda sin ruido antes de que la maneta toque el manillar.

Pide la factura o una prueba de compra y compara el número de serie. Si el vendedor no quiere
enseñártelo, mejor
busca otra.)"},
    {"请用简单的话解释什么是复利。",
     R"(复利就是“利上加利”。假设你存入一千元，年利率是百分之五。第一年结束时，你得到五十元利息，账户里有一千零五十元。
第二年，利息按一千零五十元计算，所以是五十二元五角，而不是五十元。时间越长，差别越大：二十年以后，这一千元大约变成
两千六百五十三元；如果每年只按本金计算，只有两千元。

因此，有两点很重要：第一，早一点开始；第二，不要小看很小的利率差别。借钱的时候，同样的道理会对你不利，信用卡的欠款
如果不还清，也会越滚越大。)"},
    {"日本の梅雨について、旅行者向けに短く教えてください。",
     R"(梅雨は、六月上旬から七月中旬ごろまで続く雨の多い季節です。北海道にはほとんどなく、沖縄では五月に始まります。毎日
一日中降るわけではありませんが、湿度が高く、蒸し暑い日が続きます。

旅行のときは、折りたたみ傘と乾きやすい服、それにぬれてもよい靴を用意すると安心です。紫陽花がいちばん美しいのはこの
時期ですし、有名な寺や庭園も人が少なめです。大雨の日は電車が遅れることがあるので、予定には余裕を持たせましょう。)"},
    {"Напиши короткое вежливое письмо соседям о ремонте.",
     R"(Уважаемые соседи!

С понедельника, 12 мая, в квартире 34 начнётся ремонт. Шумные работы мы будем вести только в будние дни
с 10 до 13 и
с 15 до 18 часов; по выходным и праздникам будет тихо. Закончить рассчитываем к 6 июня.

Если у вас маленький ребёнок, кто-то болеет или вы работаете по ночам, пожалуйста, позвоните мне: постараемся
подобрать удобное время. Заранее приносим извинения за беспокойство и благодарим за терпение.

С уважением, Ирина (кв. 34))"},
    {"ما الفرق بين الفيروس والبكتيريا؟",
     R"(البكتيريا كائنات حية وحيدة الخلية، تتغذى وتتكاثر بنفسها، وكثير منها نافع: في أمعائنا وفي التربة
وفي صناعة اللبن.
أما الفيروس فهو أصغر منها بكثير، ولا يستطيع أن يتكاثر إلا داخل خلية حية يستولي عليها.

لذلك تختلف طريقة العلاج: المضادات الحيوية تقتل البكتيريا أو توقف نموها، لكنها لا تؤثر في الفيروسات.
الزكام والإنفلونزا
سببهما فيروسات، فلا تنفع معهما المضادات الحيوية. اللقاح يعلّم الجسم أن يتعرّف على العدو قبل أن يصل.)"},
    {"मुझे चाय बनाने की विधि बताइए।",
     R"(दो कप चाय के लिए:

1. एक बर्तन में डेढ़ कप पानी उबालिए। उसमें थोड़ा कुटा हुआ अदरक और दो इलायची डालिए।
2. दो छोटे चम्मच चाय की पत्ती डालकर दो मिनट पकने दीजिए।
3. आधा कप दूध और स्वाद के अनुसार चीनी मिलाइए।
4. एक उबाल आने पर आँच धीमी कीजिए और तीन मिनट और पकाइए, फिर छान लीजिए।

अदरक ज़्यादा देर तक दूध के साथ उबालने से दूध फट सकता है, इसलिए उसे पहले पानी में ही पका लें।)"},
    {"한국의 설날에는 무엇을 하나요?",
     R"(설날은 음력 1월 1일로, 온 가족이 모이는 가장 큰 명절입니다. 아침에는 조상에게 차례를 지내고, 어른들께 세배를 드립니다.
세배를 받은 어른은 덕담과 함께 아이들에게 세뱃돈을 줍니다. 그다음에는 떡국을 먹는데, 떡국을 한 그릇 먹으면 나이를 한 살 더
먹는다고 합니다. 오후에는 윷놀이 같은 전통 놀이를 즐기기도 합니다. 연휴에는 고속도로가 매우 막히므로 기차표는 미리 예매하는
것이 좋습니다.)"},
    {"Come si calcola la superficie di un terreno triangolare?",
     R"(Se conosci la base e l'altezza, basta moltiplicarle e dividere per due: A = b · h / 2. Spesso
però si misurano solo i
tre lati. In questo caso serve la formula di Erone: prima il semiperimetro s = (a + b + c) / 2, poi
A = √(s (s − a)(s − b)(s − c)).

Esempio: a = 13 m, b = 14 m, c = 15 m. Allora s = 21 m e A = √(21 · 8 · 7 · 6) = √7056 = 84 m².
Controlla che la somma di
due lati sia sempre maggiore del terzo, altrimenti una misura è sbagliata.)"},
    {"Traduza para o português: The library closes early on Fridays, so return your books before noon.",
     R"(A biblioteca fecha mais cedo às sextas-feiras, portanto devolva os livros antes do meio-dia.)"},
    {"Przetłumacz na polski: We missed the last train and had to spend the night at the station.",
     R"(Spóźniliśmy się na ostatni pociąg i musieliśmy spędzić noc na dworcu.)"},
    {"Türkiye'de kahvaltıda ne yenir?",
     R"(Geleneksel bir kahvaltıda beyaz peynir, zeytin, domates, salatalık, bal, reçel ve taze ekmek
bulunur. Yanında ince belli
bardakta çay içilir. Hafta sonları sofraya menemen, sucuklu yumurta ya da börek de gelir; kahvaltı
öğlene kadar sürebilir.)"},
    {"What is wrong with this C++ function?\n\n```cpp\nconst std::string& Name(int id) {\n  std::string name "
     "= "
     "Lookup(id);\n  return name;\n}\n```",
     R"(It returns a reference to `name`, which is destroyed when the function ends, so every use of
the result is undefined
behaviour. It may seem to work, because the memory is often not reused at once.

Return by value instead:

```cpp
std::string Name(int id) {
  return Lookup(id);
}
```

Nothing is copied: the result is constructed in the caller's storage. If `Lookup` returns a reference
to something
that lives longer, `const std::string&` is right, but then return that reference itself, without the
local variable.
Compilers warn about the original with `-Wreturn-local-addr` (GCC) or `-Wreturn-stack-address` (Clang).)"},
    {"Give me an SQL query for the three best customers of each month.",
     R"(```sql
WITH monthly AS (
  SELECT date_trunc('month', ordered_at) AS month, customer_id, SUM(amount) AS total
  FROM orders
  WHERE status = 'paid'
  GROUP BY 1, 2
), ranked AS (
  SELECT month, customer_id, total,
         RANK() OVER (PARTITION BY month ORDER BY total DESC) AS place
  FROM monthly
)
SELECT month, place, c.name, total
FROM ranked JOIN customers c ON c.id = ranked.customer_id
WHERE place <= 3
ORDER BY month, place;
```

`RANK` gives equal totals the same place, so a month may have more than three rows; `ROW_NUMBER` would
cut at three.)"},
    {"Solve: a tank is filled by one pipe in 6 hours and by another in 4 hours. How long do both take "
     "together?",
     R"(In one hour the first pipe fills 1/6 of the tank and the second 1/4. Together: 1/6 + 1/4 = 2/12
+ 3/12 = 5/12 of the
tank per hour. The whole tank takes 12/5 = 2.4 hours, that is 2 hours and 24 minutes.

Check: in 2.4 h the first fills 2.4/6 = 0.4, the second 2.4/4 = 0.6, and 0.4 + 0.6 = 1.)"},
    {"List five countries with capital, population and area as a Markdown table and as JSON for the first.",
     R"(| Country | Capital | Population (millions) | Area (km²) |
|---|---|---:|---:|
| Norway | Oslo | 5.5 | 385,207 |
| Kenya | Nairobi | 55.1 | 580,367 |
| Peru | Lima | 34.0 | 1,285,216 |
| Vietnam | Hanoi | 98.9 | 331,212 |
| New Zealand | Wellington | 5.2 | 268,021 |

```json
{"country": "Norway", "capital": "Oslo", "population_millions": 5.5, "area_km2": 385207, "eu": false,
"neighbours": ["Sweden", "Finland", "Russia"]}
```)"},
    {"Tell the beginning of a story about a lighthouse keeper who finds a letter.",
     R"(The storm had taken the boat and left a bottle. Marit found it at low tide, wedged between two
stones below the
landing, its cork sealed with something that had once been red wax. She carried it up the hundred and
twelve steps
without looking at it, lit the lamp, wound the clockwork, and only then sat down at the table by the window.

The paper inside was dry. "To whoever keeps the light," it began, in a hand that leaned backwards like
grass in the
wind, "please put it out on the night of the fourteenth. Only once, and only for an hour."

She counted the days on her fingers. Today was the eleventh.)"},
    {"",
     R"(The heart of a bird beats several hundred times a minute, that of a whale fewer than ten. Both
are driven by the
same few grams of specialised tissue, which fires without being told to. Physiologists of the
nineteenth century
removed hearts from frogs and watched them go on beating in a dish of salt water; what the nerves do,
they concluded,
is not to start the beat but to hurry or to slow it. In 1907 Arthur Keith and Martin Flack described
the knot of cells
near the upper vein that sets the rhythm. Artificial pacemakers imitate it: a battery, a timer, and a
wire no thicker
than a fishing line. The first patients carried the device on a trolley, plugged into the wall.)"},
    {"", R"(/* Ring buffer of bytes for one producer and one consumer. */
#include <stdatomic.h>
#include <stddef.h>

#define CAPACITY 4096u

struct ring {
  unsigned char data[CAPACITY];
  atomic_size_t head, tail; /* written by the consumer, by the producer */
};

static size_t ring_write(struct ring *r, const unsigned char *from, size_t count) {
  size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
  size_t head = atomic_load_explicit(&r->head, memory_order_acquire);
  size_t room = CAPACITY - (tail - head);
  if (count > room) count = room;
  for (size_t i = 0; i < count; ++i) r->data[(tail + i) % CAPACITY] = from[i];
  atomic_store_explicit(&r->tail, tail + count, memory_order_release);
  return count;
}
)"},
    {"",
     R"(Minutes of the residents' meeting, 3 March. Present: 14 of 22 flats. 1. The minutes of the last
meeting were approved
without changes. 2. The roof: two offers were compared, £18,400 and £21,950; the first does not include
the gutters.
It was agreed (11 for, 2 against, 1 abstention) to ask both firms again by the end of the month. 3.
Bicycles may no
longer be left in the stairwell; Ms Okafor will look for a place in the yard. 4. Any other business:
the lamp on the
second floor is to be repaired. The next meeting is on Thursday, 5 June, at 7.30 pm.)"},
    {"", R"(2024-11-02 06:14:07.113 INFO  sensor[17] temperature=21.4 humidity=0.47 battery=3.02
2024-11-02 06:14:37.120 INFO  sensor[17] temperature=21.5 humidity=0.47 battery=3.02
2024-11-02 06:15:02.884 WARN  uplink retry=1 reason="timeout after 5000 ms" queue=38
2024-11-02 06:15:08.002 INFO  uplink connected address=10.3.0.12:8883 latency=41ms
2024-11-02 06:15:08.310 ERROR decoder frame 0x1f3a: checksum 7c91, expected 7c19; dropped 1 of 39 frames
)"},
    {"",
     R"(Die Brücke wurde 1867 aus Schmiedeeisen gebaut und nach dem Hochwasser von 1910 um einen Bogen
verlängert. Jeder der
sieben Pfeiler ruht auf Eichenpfählen, die unter dem Grundwasserspiegel liegen und deshalb bis heute
nicht gefault
sind. Bei der letzten Prüfung fanden die Ingenieure Risse in drei Querträgern; seither dürfen nur noch
Fahrzeuge bis
zwölf Tonnen hinüber. Die Stadt will im kommenden Frühjahr entscheiden, ob sie saniert oder neu baut.)"},
    {"",
     R"(Le marché ouvrait à six heures. Bien avant, on entendait déjà les charrettes sur les pavés et
les voix des femmes qui
disposaient les légumes : poireaux, navets, bottes de radis encore humides. Antoine, lui, vendait des
couteaux. Il les
affûtait devant les clients, d'un geste si lent qu'on croyait toujours qu'il allait s'arrêter, puis il
coupait en
deux un cheveu que lui tendait un enfant.)"},
    {"Summarise in one sentence: The council voted to keep the swimming pool open during the winter, "
     "although heating it "
     "costs more than tickets bring in, because schools use it every weekday.",
     "The council will keep the pool open in winter despite the cost, since schools use it every weekday."},
    {"Write a shell command that finds the ten largest files below the current directory.",
     R"(```sh
find . -type f -printf '%s\t%p\n' | sort -rn | head -n 10 | numfmt --field=1 --to=iec
```

`-printf` is GNU find's; on macOS use `find . -type f -exec stat -f '%z %N' {} + | sort -rn | head -n 10`.)"},
    {"Erkläre den Unterschied zwischen „seit“ und „vor“ mit je zwei Beispielen.",
     R"(„Seit“ nennt den Anfang von etwas, das noch andauert: „Ich lerne seit zwei Jahren Spanisch.“ –
„Seit gestern regnet es.“

„Vor“ nennt einen Zeitpunkt, der vorbei ist: „Ich habe vor zwei Jahren Spanisch gelernt.“ – „Vor einer
Stunde hat es
geregnet.“ Nach beiden Wörtern steht der Dativ.)"},
    {"Which is larger, 9.11 or 9.9? And 2^10 or 10^3? Give the differences.",
     R"(9.9 is larger: 9.90 − 9.11 = 0.79. And 2^10 = 1024 is larger than 10^3 = 1000, by 24.)"},
};

}  // namespace

std::span<const CalibrationText> CalibrationTexts() { return kTexts; }

}  // namespace linnet
