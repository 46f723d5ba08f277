#!/usr/bin/env python3
"""hostile_tar.py KIND: writes to standard output a tar that means harm."""
import io
import sys
import tarfile


def entry(name, kind=tarfile.REGTYPE, data=b"", **rest):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(data)
    for key, value in rest.items():
        setattr(info, key, value)
    return info, data


KINDS = {
    "dotdot": [entry("../escaped", data=b"x")],
    "hardlink": [entry("passwd", tarfile.LNKTYPE, linkname="../../../etc/passwd")],
    "whiteout": [entry(".wh.", data=b"")],
    "device": [entry("null", tarfile.CHRTYPE, devmajor=0, devminor=0)],
    "under-file": [entry("file", data=b"x"), entry("file/below", data=b"x")],
    "truncated": [entry("file", data=b"x" * 5000)],
}


def sparse():
    """A GNU sparse header (type S) that claims 10 TiB in a block of data."""
    info = tarfile.TarInfo("big")
    info.size = 512
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[156:157] = b"S"
    block[386:398] = b"%011o\0" % 0
    block[398:410] = b"%011o\0" % 512
    block[483:495] = b"\x80" + (10 << 40).to_bytes(11, "big")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + b"x" * 512 + b"\0" * 1024


def main():
    kind = sys.argv[1]
    if kind == "sparse":
        sys.stdout.buffer.write(sparse())
        return
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for info, data in KINDS[kind]:
            tar.addfile(info, io.BytesIO(data))
    data = out.getvalue()
    sys.stdout.buffer.write(data[:3000] if kind == "truncated" else data)


main()
