"""Opening a stranger's file, and saying in words what is wrong with it."""

from __future__ import annotations

import errno
import io
import stat
import struct
import zlib
from pathlib import Path

from PIL import Image

MAX_BYTES = 250_000_000  # 25 megapixels of four 16-bit channels are 200 million bytes
# What decoders raise over bytes that are none of theirs; Pillow promises no narrower set.
FAILURES = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError),
    *(OSError, RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error),
    Image.DecompressionBombError,
)
READ = "JPEG, PNG, WebP, BMP or GIF"
_RAW = "a camera's raw picture"
# Magic bytes and where they stand, for files that are no picture we read; the first that fits.
_PICTURES = (
    (8, b"CR\2\0", _RAW),
    (0, b"II*\0", "a TIFF or a camera's raw picture"),
    (0, b"MM\0*", "a TIFF or a camera's raw picture"),
    (0, b"II+\0", "a TIFF"),
    (0, b"MM\0+", "a TIFF"),
    (0, b"IIR", _RAW),
    (0, b"MMOR", _RAW),
    (0, b"IIU\0", _RAW),
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"FOVb", _RAW),
    (4, b"ftypcrx", _RAW),
    (0, b"II\xbc", "a JPEG XR"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"ftyphe", "a HEIC"),
    (4, b"ftypmif", "a HEIC or AVIF"),
    (4, b"ftypmsf", "a HEIC or AVIF"),
    (4, b"ftypmia", "a HEIC or AVIF"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"gimp xcf", "a GIMP file"),
    (0, b"\0\0\1\0", "an icon"),
    (0, b"\0\0\2\0\0\0\0\0", "a Targa picture"),
    (0, b"\0\0\2\0", "a cursor"),
    (0, b"icns", "an icon"),
    (4, b"jP  ", "a JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (4, b"JXL ", "a JPEG XL"),
    (0, b"P1\n", "a portable bitmap"),
    (0, b"P2\n", "a portable greymap"),
    (0, b"P3\n", "a portable pixmap"),
    (0, b"P7\n", "a portable anymap"),
    (0, b"P4", "a portable bitmap"),
    (0, b"P5", "a portable greymap"),
    (0, b"P6", "a portable pixmap"),
    (0, b"qoif", "a QOI"),
    (0, b"v/1\1", "an OpenEXR"),
    (0, b"BPG\xfb", "a BPG"),
    (0, b"SIMPLE  =", "a FITS picture"),
    (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
    (40, b" EMF", "a Windows metafile"),
    (0, b"\x8aMNG", "an MNG animation"),
    (0, b"#?RADIANCE", "a Radiance picture"),
    (0, b"DDS ", "a DirectDraw surface"),
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"<svg", "an SVG drawing"),
)
_OTHERS = (
    (0, b"<?xml", "an XML file"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<!doctype", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"<head", "a web page"),
    (0, b"HTTP/", "a web server's answer"),
    (0, b"version https://git-lfs", "a pointer of Git LFS: run git lfs pull"),
    (0, b"PK\3\4", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (0, b"\xd0\xcf\x11\xe0", "an Office file or Windows' own Thumbs.db"),
    (0, b"\x93NUMPY", "an array of NumPy"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\0\5\x16\7", "what macOS keeps beside a file"),
    (4, b"ftyp", "a film"),
    (4, b"moov", "a film"),
    (8, b"AVI ", "a film"),
    (8, b"WAVE", "a sound"),
    (0, b"\x1a\x45\xdf\xa3", "a film"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_SYSTEM = {
    errno.ENOENT: "it is gone, or a link to nothing",
    errno.EACCES: "no right to read it",
    errno.EPERM: "no right to read it",
    errno.ELOOP: "a link that leads to itself",
    errno.ENAMETOOLONG: "its name is too long for this system",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.EIO: "the disk cannot read it",
}


def opened_file(path: Path) -> io.BufferedReader:
    """The file, open for reading; a pipe or device is not touched, since it may never answer.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no plain file, is empty, or is larger than `MAX_BYTES`.
    """
    found = path.stat()
    for is_kind, words in _KINDS:
        if is_kind(found.st_mode):
            raise ValueError(f"it is {words}, no file")
    if found.st_size == 0:
        raise ValueError("the file is empty")
    if found.st_size > MAX_BYTES:
        limit = f"{MAX_BYTES // 1_000_000} million bytes"
        raise ValueError(f"{found.st_size:,} bytes are more than {limit}; save it smaller")
    return path.open("rb")


def kind_of(start: bytes) -> str:
    """What a file without a picture that we read is, from its first bytes.

    >>> kind_of(b"%PDF-1.7")
    'a PDF, no JPEG, PNG, WebP, BMP or GIF; convert it to PNG'
    """
    if start.startswith(b"\xff\xd8\xff"):
        return "a JPEG of 12 bits, or one whose first bytes are damaged; save it anew"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    for known, way_out in ((_PICTURES, "; convert it to PNG"), (_OTHERS, "")):
        for at, magic, words in known:
            if start[at : at + len(magic)] == magic or (at == 0 and text.startswith(magic)):
                return f"{words}, no {READ}{way_out}"
    return f"no {READ}, or its first bytes are damaged"


def reason_of(error: BaseException) -> str:
    """A decoder's or the system's complaint in a few words."""
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    if isinstance(error, OSError) and error.errno is not None:
        return _SYSTEM.get(error.errno, error.strerror or str(error))
    text = " ".join(str(error).split()).rstrip(".")
    if "MAX_TEXT_" in text:
        return "its words or its colour profile unpack to more than a megabyte; save it anew"
    if "truncated" in text.lower():
        return f"it is cut short ({text})"
    if text and isinstance(error, ValueError):  # ours, or plain enough
        return text
    return f"its data are damaged ({text or type(error).__name__})"
