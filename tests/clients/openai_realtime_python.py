"""The `openai` package for Python with `websockets`: transcription over the realtime protocol."""
import array
import base64
import io
import wave

import openai
from scenario import KEY, MODEL, SOUND, URL, OwnServer, equal, raises, run, scenario

RATE = 24000
client = openai.OpenAI(base_url=URL + "/v1", api_key=KEY, max_retries=0, timeout=60)


def samples():
    """The spoken question as 16 bits at 24 kHz: lines between the samples of its file."""
    with wave.open(io.BytesIO(base64.b64decode(SOUND["base64"]))) as file:
        assert file.getsampwidth() == 2 and file.getnchannels() == 1
        given, rate = array.array("h", file.readframes(file.getnframes())), file.getframerate()
    made = array.array("h")
    for i in range(len(given) * RATE // rate):
        at, part = divmod(i * rate, RATE)
        after = given[min(at + 1, len(given) - 1)]
        made.append(round(given[at] + (after - given[at]) * part / RATE))
    return made.tobytes()


PCM = samples()


def transcribed(pcm):
    """What /v1/audio/transcriptions gives for the same samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(pcm)
    return client.audio.transcriptions.create(model=MODEL, file=("a.wav", file.getvalue())).text


def connect(one=client):
    return one.realtime.connect(extra_query={"intent": "transcription"})


def update(connection, **given):
    audio = {"format": {"type": "audio/pcm", "rate": RATE}, "transcription": {"model": MODEL}, **given}
    connection.session.update(session={"type": "transcription", "audio": {"input": audio}})


def append(connection, pcm):
    for at in range(0, len(pcm), 9600):
        connection.input_audio_buffer.append(audio=base64.b64encode(pcm[at:at + 9600]).decode())


def events_to(connection, kind):
    events = []
    for event in connection:
        events.append(event)
        if event.type == kind:
            break
    return events


COMPLETED = "conversation.item.input_audio_transcription.completed"


@scenario
def commit_by_hand():
    with connect() as connection:
        equal(connection.recv().type, "session.created")
        update(connection, turn_detection=None)
        equal(connection.recv().type, "session.updated")
        append(connection, PCM)
        connection.input_audio_buffer.commit()
        events = events_to(connection, COMPLETED)
        equal([e.type for e in events[:3]],
              ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"])
        deltas = [e.delta for e in events if e.type.endswith("transcription.delta")]
        equal("".join(deltas), events[-1].transcript)
        equal(events[-1].transcript, transcribed(PCM))
        equal(events[-1].item_id, events[0].item_id)


@scenario
def speech_is_found():
    with connect() as connection:
        connection.recv()
        update(connection, turn_detection={"type": "server_vad", "silence_duration_ms": 500})
        connection.recv()
        append(connection, bytes(RATE * 2) + PCM + bytes(RATE * 4))
        events = events_to(connection, COMPLETED)
        kinds = [e.type for e in events]
        equal(kinds[:3], ["input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
                          "input_audio_buffer.committed"])
        begin, end = events[0].audio_start_ms * RATE // 1000, events[1].audio_end_ms * RATE // 1000
        sound = bytes(RATE * 2) + PCM + bytes(RATE * 4)
        equal(events[-1].transcript, transcribed(sound[begin * 2:end * 2]))


@scenario
def errors():
    with connect() as connection:
        connection.recv()
        connection.response.create()
        error = connection.recv()
        equal(error.type, "error")
        assert "response.create" in error.error.message, error
        connection.input_audio_buffer.commit()
        equal(connection.recv().error.code, "input_audio_buffer_commit_empty")
    with raises(Exception, "401"):
        with connect(client.with_options(api_key="wrong")):
            pass
    with raises(Exception, "400"):
        with client.realtime.connect(model=MODEL):
            pass


@scenario
def stopped_server():
    with OwnServer() as server:
        one = openai.OpenAI(base_url=server.url + "/v1", api_key=KEY, max_retries=0, timeout=60)
        with connect(one) as connection:
            connection.recv()
            server.process.terminate()
            with raises(Exception, "1001"):
                connection.recv()
        equal(server.process.wait(timeout=40), 0, "exit code")


run()
