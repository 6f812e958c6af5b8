"""Images and recordings on their way to an endpoint: what is sent, and what is refused with a reason."""

import base64
import hashlib
import json
import os
from pathlib import Path

import pytest

from support.endpoint import COMPLETION_TOKENS, PROMPT_TOKENS, Misbehaviour, endpoint
from tutelage.completers.endpoints.media import BYTES_AN_AUDIO_TOKEN, IMAGE_TOKENS, MOST_BYTES, MediaSettings, show
from tutelage.completers.endpoints.pauses import Patience
from tutelage.completers.endpoints.remote import RemoteCompleter
from tutelage.completers.endpoints.spending import Limits, Purse, Tokens
from tutelage.completers.endpoints.wire import most_prompt_tokens, write_body
from tutelage.errors import CompletionError
from tutelage.records import AudioPart, Conversation, ImagePart, Message, Request, Sampling, TextPart, content_id, user

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
FILES = {
    "a.png": (PNG, "image/png"),
    "b.jpg": (b"\xff\xd8\xff\xe0" + bytes(9), "image/jpeg"),
    "c.gif": (b"GIF89a" + bytes(9), "image/gif"),
    "d.webp": (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "image/webp"),
    "no-name-tells": (PNG, "image/png"),
}
SOUNDS = {
    "a.wav": (b"RIFF\x10\x00\x00\x00WAVEfmt ", "wav"),
    "b.mp3": (b"ID3\x04" + bytes(90), "mp3"),
    "c.mp3": (b"\xff\xfb\x90\x64" + bytes(90), "mp3"),
}


def image(uri: str, sha256: str = "") -> ImagePart:
    return ImagePart(kind="image", uri=uri, sha256=sha256)


def sound(uri: str, sha256: str = "") -> AudioPart:
    return AudioPart(kind="audio", uri=uri, sha256=sha256)


def look(*parts: ImagePart | AudioPart, text: str = "What is this?") -> Conversation:
    return (Message(role="user", content=(TextPart(kind="text", text=text), *parts)),)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "media" / "deep").mkdir(parents=True)
    for name, (data, _) in {**FILES, **SOUNDS}.items():
        (tmp_path / "media" / name).write_bytes(data)
    (tmp_path / "media" / "deep" / "a.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG)
    return tmp_path / "media"


def test_what_the_endpoint_is_shown(folder: Path) -> None:
    url = "https://example.com/x.png?size=2"
    inline = "data:image/png;base64," + base64.b64encode(PNG).decode()
    parts = (image("a.png", hashlib.sha256(PNG).hexdigest().upper()), image(url), image(inline), sound("b.mp3"))
    with (
        endpoint() as server,
        RemoteCompleter(server.url, "m", media=MediaSettings(folder)) as completer,
    ):
        (answer,) = completer.complete([Request(id="r", messages=look(*parts))])
    assert answer.text == "Answer to What is this?"
    data = base64.b64encode(SOUNDS["b.mp3"][0]).decode()
    assert server.parts == [
        [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": inline}},
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "image_url", "image_url": {"url": inline}},
            {"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}},
        ]
    ]


@pytest.mark.parametrize("name", [*FILES, "deep/a.png", "./deep/../a.png"])
def test_types_of_images_are_read_from_their_bytes(folder: Path, name: str) -> None:
    data, kind = FILES.get(name, (PNG, "image/png"))
    shown = show([image(name)], MediaSettings(folder, image_tokens=7))
    ((_, written),) = shown.parts.items()
    assert written["image_url"] == {"url": f"data:{kind};base64,{base64.b64encode(data).decode()}"}
    assert shown.tokens == 7


@pytest.mark.parametrize("name", SOUNDS)
def test_types_of_recordings_are_read_from_their_bytes(folder: Path, name: str) -> None:
    data, kind = SOUNDS[name]
    shown = show([sound(name)], MediaSettings(folder))
    ((_, written),) = shown.parts.items()
    assert written["input_audio"] == {"data": base64.b64encode(data).decode(), "format": kind}
    assert shown.tokens > len(data) / BYTES_AN_AUDIO_TOKEN


REFUSED = [
    (image("gone.png"), "image cannot be read: No such file.*gone.png"),
    (image("deep"), "image is no file"),
    (image("pipe"), "image is no file"),
    (image("a\0.png"), "image cannot be read: embedded null byte"),
    (image("\ud800.png"), "image cannot be read"),
    (image("a.wav"), r"image is of an unknown type.*PNG, JPEG, GIF and WebP can be sent"),
    (image("empty.png"), "unknown type.*is empty"),
    (image("large.png"), r"too large to be sent.*20,971,521 bytes; at most 20,971,520"),
    (image("a.png", "0" * 64), "not the one that the record names.*sha256"),
    (image("../secret.png"), "lies outside its folder"),
    (image("deep/../../secret.png"), "lies outside its folder"),
    (image("/etc/passwd"), "lies outside its folder"),
    (image(""), "lies outside its folder"),
    (image("file:///etc/passwd"), r"image cannot be sent.*path or an http\(s\) URL"),
    (image("data:text/html;base64,AAAA"), "image cannot be sent"),
    (sound("https://example.com/a.wav"), "recording cannot be sent.*takes no URL"),
    (sound("a.png"), "recording is of an unknown type.*WAV and MP3"),
    (sound("gone.wav"), "recording cannot be read"),
]


@pytest.mark.parametrize(("part", "reason"), REFUSED, ids=[f"{part.kind} {part.uri[:20]!a}" for part, _ in REFUSED])
def test_what_cannot_be_sent_is_refused_with_the_reason(folder: Path, part: ImagePart | AudioPart, reason: str) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "empty.png").write_bytes(b"")
    with open(folder / "large.png", "wb") as file:
        file.write(PNG)
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(CompletionError, match=reason):
        show([part], MediaSettings(folder))


def test_a_path_without_a_folder_is_refused() -> None:
    with pytest.raises(CompletionError, match=r"which folder the image lies in.*construct\.distill\.teacher\.media"):
        show([image("a.png")], MediaSettings())


def test_a_file_that_is_not_there_fails_its_own_request_alone(folder: Path) -> None:
    asked = [
        Request(id="gone", messages=look(image("gone.png"), text="one")),
        Request(id="there", messages=look(image("a.png"), text="two")),
        Request(id="words", messages=(user("three"),)),
    ]
    with endpoint() as server, RemoteCompleter(server.url, "m", media=MediaSettings(folder)) as completer:
        answers = {answer.request_id: answer for answer in completer.complete(asked)}
    assert [answers[name].finish for name in ("gone", "there", "words")] == ["error", "stop", "stop"]
    assert "gone.png" in answers["gone"].error
    assert not answers["gone"].transient
    assert server.tries.total() == 2


def test_text_alone_is_sent_as_ever(folder: Path) -> None:
    messages = (
        Message(role="user", content=(TextPart(kind="text", text="a"), TextPart(kind="text", text="b"))),
        Message.of("assistant", "c"),
        user("d"),
    )
    request = Request(id="r", messages=messages, sampling=Sampling(max_tokens=9), seed=3)
    assert json.loads(write_body("m", request)) == {
        "model": "m",
        "messages": [
            {"role": "user", "content": "ab"},
            {"role": "assistant", "content": "c"},
            {"role": "user", "content": "d"},
        ],
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": 9,
        "seed": 3,
    }


def test_the_ceiling_counts_an_image_at_its_worst_until_the_answer_is_there(folder: Path) -> None:
    messages, most = look(image("a.png"), image("https://example.com/b.png")), 20
    request = Request(id="r", messages=messages, sampling=Sampling(max_tokens=most))
    worst = most_prompt_tokens(messages) + 2 * IMAGE_TOKENS + most
    for room, fits in ((worst, True), (worst - 1, False)):
        purse = Purse(limits=Limits(tokens=room))
        with (
            endpoint() as server,
            RemoteCompleter(server.url, "m", media=MediaSettings(folder), purse=purse) as completer,
        ):
            if fits:
                assert next(completer.complete([request])).finish == "stop"
                assert purse.spent == Tokens(PROMPT_TOKENS, COMPLETION_TOKENS)
            else:
                with pytest.raises(CompletionError, match=r"98,304 tokens a request.*or give image_tokens"):
                    list(completer.complete([request]))
                assert not server.tries
    hanging = Misbehaviour(share=1.0, faults=("hang",))
    purse = Purse()
    with (
        endpoint(hanging) as server,
        RemoteCompleter(
            server.url,
            "m",
            media=MediaSettings(folder),
            purse=purse,
            patience=Patience(retries=0, answer_s=0.2),
        ) as completer,
    ):
        list(completer.complete([request]))
    assert purse.spent.all == worst


def test_the_hash_of_a_request_covers_the_bytes_that_are_pinned() -> None:
    one, other = (
        content_id(Request(id="r", messages=look(image("a.png", digest * 64))).to_json()) for digest in ("0", "1")
    )
    assert one != other
