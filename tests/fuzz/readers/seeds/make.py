#!/usr/bin/env python3
"""Writes the seeds: small files of the test suite behind the byte that picks their name (see the
lists in fuzz_targets/), a few texts written here, and frames of the worker protocol."""

import json
import pathlib
import re
import struct

HERE = pathlib.Path(__file__).parent
TARGETS = HERE.parent / "fuzz_targets"
FIXTURES = HERE.parent.parent.parent / "fixtures"
MOST = 6 << 10
PER_NAME = 3


def names(target):
    listed = (TARGETS / f"{target}.rs").read_text()
    return re.findall(r'"([^"]*)"', listed[listed.index("const NAMES") : listed.index("];")])


TEXTS = {
    "a.txt": "First paragraph, on 24 November 2026.\n\nSecond one.\n",
    "a.md": "# Top\n\n* one\n  * two\n\n> quoted\n\n|a|b|\n|-|-|\n|1|2|\n\n```rust\nfn a() {}\n```\n",
    "a.rst": "Title\n=====\n\n* one\n\n  * two\n\n.. note:: text\n\n::\n\n    code\n",
    "a.rtf": r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 A;}}{\info{\title T}}\b Bold\b0\par \u228?\'e4"
    r"{\*\x y}\trowd\cellx100\cellx200 a\cell b\cell\row\bin3 abc d}",
    "a.tsv": "a\tb\n1\t2\n",
    "a.json": '{"a": [1, {"b": "text"}], "c": null}',
    "a.jsonl": '{"a": 1}\n{"a": "two"}\n',
    "a.xml": '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e "x">]><r><a b="c">text &e;</a></r>',
    "a.yaml": "a: 1\nb:\n  - c\n",
    "a.srt": "1\n00:00:01,000 --> 00:00:02,000\nA <i>word</i>.\n\n",
    "a.ics": "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY;LANGUAGE=en:A\r\n  day\r\n"
    "DTSTART;VALUE=DATE:20261124\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
    "a.vcf": "BEGIN:VCARD\nVERSION:3.0\nFN:A B\nEMAIL;TYPE=work:a@b.c\nNOTE:x\\, y\nEND:VCARD\n",
    "a.rs": "//! What.\nfn main() {}\n",
    "a.adoc": "= Title\n\n* one\n** two\n\n|===\n|a |b\n|===\n",
    "a.svg": "<svg><title>t</title><text>words</text></svg>",
    "a.eml": "From: A <a@b.c>\nTo: d@e.f\nSubject: =?utf-8?q?=C3=A4?=\nDate: Tue, 24 Nov 2026 10:00:00 "
    "+0100\nMessage-ID: <1@b.c>\nReferences: <0@b.c>\n\nHello\n\nOn Mon, D wrote:\n> old\n\n-- \nA\n",
    "a.mbox": "From a@b.c Tue Nov 24 10:00:00 2026\nFrom: a@b.c\nSubject: x\n\nhi\n>From here\n\n"
    "From b@b.c Tue Nov 24 11:00:00 2026\nFrom: b@b.c\n\nho\n",
    "a.mht": 'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="x"\n\n--x\n'
    "Content-Type: text/html\n\n<p>a</p>\n--x--\n",
}


def frame(kind, payload):
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return struct.pack("<IB", len(payload), kind) + payload


LIMITS = {
    "max_text_bytes": 1,
    "max_parse_bytes": 1,
    "max_children": 1,
    "max_child_bytes": 1,
    "max_total_bytes": 1,
}
BLOCK = {"kind": "paragraph", "text": "words", "page": 1}
CHILD = {"name": "a", "absolute": False, "media_type": None, "format": None}
FAILURE = {"code": "malformed", "message": "The file is damaged", "media_type": None}
FRAMES = {
    "requests": b"\0"
    + frame(1, {"memory_limit_bytes": 1, "cpu_seconds": 1})
    + frame(2, {"name": "a", "media_type": None, "format": None, "limits": LIMITS})
    + frame(3, b"data")
    + frame(4, b""),
    "failed": b"\2" + frame(70, FAILURE),
    "child": b"\2" + frame(66, CHILD) + frame(67, b"data") + frame(68, b"") + frame(70, FAILURE),
    "refused": b"\2" + frame(66, CHILD) + frame(67, b"da") + frame(71, FAILURE) + frame(70, FAILURE),
    "block": b"\2" + frame(65, BLOCK) + frame(70, FAILURE),
    "ready": b"\1" + frame(64, {"landlock_abi": 5, "seccomp": True}),
}


def write(target, name, content):
    folder = HERE / target
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


def main():
    files = sorted(path for path in FIXTURES.rglob("*") if path.is_file() and path.stat().st_size <= MOST)
    for target in ["texts", "mails", "packages"]:
        for number, name in enumerate(names(target)):
            lead = bytes([number])
            ending = name.lstrip("a")
            if name in TEXTS:
                write(target, f"written{ending}", lead + TEXTS[name].encode())
            found = [path for path in files if ending.startswith(".") and path.name.endswith(ending)]
            for at, path in enumerate(sorted(found, key=lambda path: path.stat().st_size)[-PER_NAME:]):
                write(target, f"{at}{ending}", lead + path.read_bytes())
    for name, content in FRAMES.items():
        write("protocol", name, content)


main()
