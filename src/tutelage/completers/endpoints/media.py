"""Images and recordings as the chat completions protocol carries them: a URL as it is, a file inside the request."""

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from tutelage.errors import CompletionError
from tutelage.records import AudioPart, Conversation, ImagePart, TextPart

MOST_BYTES = 20 * 1024 * 1024
"""Of one file: what the strictest of the large providers takes for an image."""
IMAGE_TOKENS = 49_152
"""Most tokens that one image can be, where nobody says better. The largest documented counts: 2,833 + 8 tiles × 5,667 =
48,169 (gpt-4o-mini, an image of 2,048 × 768 pixels), 16,384 (Qwen2.5-VL, as it is set when it is downloaded)."""
BYTES_AN_AUDIO_TOKEN = 16
"""Models hear at most 32 tokens a second (documented: 6 to 32), and no MP3 has less than 1,000 bytes a second."""
_URL = re.compile(r"(https?://|data:image/)", re.IGNORECASE)
_OTHER_URL = re.compile(r"([a-z][a-z0-9+.-]*://|data:)", re.IGNORECASE)

Media = ImagePart | AudioPart


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Where the files lie (None: nobody knows, and only URLs can be sent), and the most tokens one image can be."""

    folder: Path | None = None
    image_tokens: int = IMAGE_TOKENS


@dataclass(frozen=True, slots=True)
class Shown:
    """Each part as the protocol writes it, and the most tokens that all of them can be."""

    parts: Mapping[Media, dict[str, object]] = field(default_factory=dict)
    tokens: int = 0


def media_of(messages: Conversation) -> list[Media]:
    """Return the images and recordings of a conversation, in order."""
    return [part for message in messages for part in message.content if not isinstance(part, TextPart)]


def show(parts: Iterable[Media], settings: MediaSettings) -> Shown:
    """Return ``parts`` as they are sent; the bytes of a file are those that its ``sha256`` pins, if it does.

    Raises :class:`CompletionError` for a file that is missing, altered, too large, of an unknown type or outside the
    folder, and for a recording that is no file.
    """
    written: dict[Media, dict[str, object]] = {}
    tokens = 0
    for part in parts:
        if isinstance(part, ImagePart):
            written[part] = {"type": "image_url", "image_url": {"url": _image_url(part, settings)}}
            tokens += settings.image_tokens
        else:
            data = _read(part, settings)
            sound = {"data": base64.b64encode(data).decode(), "format": _audio_type(part, data)}
            written[part] = {"type": "input_audio", "input_audio": sound}
            tokens += len(data) // BYTES_AN_AUDIO_TOKEN + 1
    return Shown(written, tokens)


def _image_url(part: ImagePart, settings: MediaSettings) -> str:
    if _URL.match(part.uri):
        return part.uri
    data = _read(part, settings)
    return f"data:{_image_type(part, data)};base64,{base64.b64encode(data).decode()}"


def _read(part: Media, settings: MediaSettings) -> bytes:
    """The bytes of a file, checked against what the record says of them."""
    what, shown = _what(part), part.uri[:200]
    path = _path(part, settings)
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):  # reading a pipe would wait without end
            raise CompletionError(f"the {what} is no file", received=shown)
        if found.st_size > MOST_BYTES:
            received = f"{shown}, {found.st_size:,} bytes; at most {MOST_BYTES:,}"
            raise CompletionError(f"the {what} is too large to be sent", received=received, remedy="make it smaller")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # a name that no file can have is a ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        remedy = f"paths are relative to the folder of the data file, or to teacher.media; here {settings.folder}"
        raise CompletionError(f"the {what} cannot be read: {reason}", received=shown, remedy=remedy) from error
    digest = hashlib.sha256(data).hexdigest()
    if part.sha256 and digest != part.sha256.lower():
        raise CompletionError(
            f"the {what} is not the one that the record names",
            received=f"{shown}, sha256 {digest[:12]}… instead of {part.sha256[:12]}…",
            remedy="bring back the file, or mend its sha256",
        )
    return data


def _path(part: Media, settings: MediaSettings) -> Path:
    what, shown = _what(part), part.uri[:200]
    if _OTHER_URL.match(part.uri):
        wanted = "a path or an http(s) URL" if isinstance(part, ImagePart) else "a path: the protocol takes no URL"
        raise CompletionError(f"this {what} cannot be sent", received=shown, remedy=f"give {wanted}")
    if settings.folder is None:
        remedy = "give the folder as construct.distill.teacher.media"
        raise CompletionError(f"nothing says which folder the {what} lies in", received=shown, remedy=remedy)
    # Rows may come from anywhere: none of them may have another file of this machine sent away.
    inside = os.path.normpath(part.uri)
    if not part.uri or os.path.isabs(inside) or inside.split(os.sep)[0] in ("..", "."):
        remedy = f"paths are relative and stay inside the folder, here {settings.folder}"
        raise CompletionError(f"the {what} lies outside its folder", received=repr(shown), remedy=remedy)
    return settings.folder / inside


def _what(part: Media) -> str:
    return "image" if isinstance(part, ImagePart) else "recording"


def _image_type(part: ImagePart, data: bytes) -> str:
    """The media type, by the first bytes: a name may say anything."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    raise _unknown(part, data, "PNG, JPEG, GIF and WebP")


def _audio_type(part: AudioPart, data: bytes) -> str:
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        return "wav"
    frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2  # 11 bits of synchronization, layer III
    if data.startswith(b"ID3") or frame:
        return "mp3"
    raise _unknown(part, data, "WAV and MP3")


def _unknown(part: Media, data: bytes, known: str) -> CompletionError:
    received = f"{part.uri[:200]}, which begins {data[:8]!r}" if data else f"{part.uri[:200]}, which is empty"
    return CompletionError(f"the {_what(part)} is of an unknown type", received=received, remedy=f"{known} can be sent")
