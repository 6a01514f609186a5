#!/usr/bin/env python3
"""Writes the seeds: small files of the test suite behind the byte that picks their name (see the
lists in fuzz_targets/), a few texts written here, and frames of the worker protocol."""

import io
import json
import pathlib
import re
import struct
import zipfile

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

CHAT = {
    "userId": "8:me",
    "conversations": [
        {
            "id": "8:bob",
            "displayName": "Bob",
            "MessageList": [
                {"id": "1", "originalarrivaltime": "2024-01-06T09:00:00Z", "from": "8:me", "content": "<b>Hi</b>"}
            ],
        }
    ],
}
GOOGLE_CHAT = {
    "messages": [
        {
            "creator": {"name": "Ann", "email": "a@b.c"},
            "created_date": "Friday, January 5, 2024 at 10:00:00 AM UTC",
            "text": text,
            "topic_id": topic,
        }
        for text, topic in [("Hi", "t1"), ("Ho", "t1"), ("Other", "t2")]
    ]
}
SLACK_DAY = [
    {"type": "message", "user": "U1", "text": "Hi <@U2>", "ts": "1700000000.000100", "thread_ts": "1700000000.000100"},
    {"type": "message", "user": "U2", "text": "Ho", "ts": "1700000001.000100", "thread_ts": "1700000000.000100"},
    {"type": "message", "user": "U1", "text": "Other", "ts": "1700000002.000100"},
]
NOTE = {"isTrashed": False, "isArchived": False, "userEditedTimestampUsec": 1700000000000000, "textContent": "Words"}
SPACE = """<?xml version="1.0" encoding="UTF-8"?>
<hibernate-generic><object class="Page"><id name="id">10</id><property name="title"><![CDATA[A]]></property>
<property name="parent" class="Page"><id name="id">10</id></property></object>
<object class="BodyContent"><id name="id">5</id><property name="body"><![CDATA[<p>x</p>]]></property>
<property name="content" class="Page"><id name="id">10</id></property></object>
<object class="Comment"><id name="id">2</id><property name="creatorName">bob</property>
<property name="containerContent" class="Page"><id name="id">10</id></property></object></hibernate-generic>"""
PHONE_CHAT = "".join(f"[05.01.24, 10:0{n}:00] {by}: {words}\n" for n, by, words in [
    (0, "Ann", "Hi"), (1, "Bob", "Ho\nand more"), (2, "Ann", "<attached: a.jpg>"), (3, "Bob", "Yes"),
])
BOOKMARKS = """<!DOCTYPE NETSCAPE-Bookmark-file-1>
<TITLE>Bookmarks</TITLE><H1>Bookmarks</H1>
<DL><p><DT><H3>Folder</H3><DL><p><DT><A HREF="https://a.b/" ADD_DATE="1700000000">A page</A></DL><p></DL><p>"""
# Single files of exports, by the name they are read under.
EXPORTS = {
    "teams": ("a.json", json.dumps(CHAT)),
    "google_chat": ("a.json", json.dumps(GOOGLE_CHAT)),
    "slack_day": ("a.json", json.dumps(SLACK_DAY)),
    "keep": ("a.json", json.dumps(NOTE)),
    "confluence": ("a.xml", SPACE),
    "phone_chat": ("a.txt", PHONE_CHAT),
    "bookmarks": ("a.html", BOOKMARKS),
}
# The top bits of the byte in front of a file that is read in any order and hardly held.
BARELY_HELD = 0xC0


def archive(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            content = content if isinstance(content, (bytes, str)) else json.dumps(content)
            out.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


ID = "0123456789abcdef0123456789abcdef"
ARCHIVES = {
    "slack.zip": {
        "users.json": [{"id": "U1", "name": "ann", "profile": {"real_name": "Ann Lee", "email": "a@b.c"}}],
        "channels.json": [{"id": "C1", "name": "general", "members": ["U1"], "topic": {"value": "All"}}],
        "general/2023-11-14.json": SLACK_DAY,
        "integration_logs.json": [],
    },
    "notion.zip": {
        f"A page {ID}.md": "# A page\n\nCreated: 1 May 2024\n\nWords.\n",
        f"A page {ID}/Rows {ID}.csv": "Name,Tags\na,b\n",
        f"A page {ID}/Rows {ID}_all.csv": "Name,Tags\na,b\nc,d\n",
    },
    "takeout.zip": {
        "Takeout/Google Chat/Groups/DM 1/messages.json": GOOGLE_CHAT,
        "Takeout/Google Chat/Groups/DM 1/group_info.json": {"name": "Two", "members": [{"name": "Ann"}]},
        "Takeout/Keep/a.json": NOTE,
        "Takeout/Keep/a.html": "<p>Words</p>",
    },
    "confluence.zip": {"entities.xml": SPACE, "exportDescriptor.properties": "a=b"},
    "page.zip": {"p.html": '<p><img src="p_files/a.png"></p>', "p_files/a.png": b"\x89PNG\r\n\x1a\n"},
}


def attribute(kind, data):
    """One attribute of a winmail.dat."""
    return b"\1" + struct.pack("<II", kind, len(data)) + data + b"\0\0"


def mapi(number, kind, value):
    filling = b"\0" * (-len(value) % 4)
    return struct.pack("<HHII", kind, number, 1, len(value)) + value + filling


def der(tag, content):
    return bytes([tag, 0x82]) + struct.pack(">H", len(content)) + content


TNEF = (
    bytes.fromhex("789f3e220100")
    + attribute(0x00069007, struct.pack("<Q", 1252))
    + attribute(0x00069003, struct.pack("<I", 2) + mapi(0x37, 0x1F, "A plan\0".encode("utf-16-le")) + mapi(0x1013, 0x102, b"<p>Words</p>"))
    + attribute(0x0002800C, b"Plain words\0")
    + attribute(0x00069002, b"\0" * 14)
    + attribute(0x00018010, b"a.txt\0")
    + attribute(0x0006800F, b"attached words")
)
OID = bytes.fromhex("06092a864886f70d0107")
SIGNED = der(0x30, OID + b"\2" + der(0xA0, der(0x30, der(2, b"\1") + der(0x31, b"") + der(
    0x30, OID + b"\1" + der(0xA0, der(4, b"Content-Type: text/plain\r\n\r\nWords.\r\n"))))))
BINARIES = {"winmail.dat": TNEF, "a.p7m": SIGNED, "a.p7s": SIGNED}


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
REQUEST = {"name": "a", "media_type": None, "format": None, "limits": LIMITS}
FRAMES = {
    "requests": b"\0"
    + frame(1, {"memory_limit_bytes": 1, "cpu_seconds": 1})
    + frame(2, {"request": REQUEST, "length": 8})
    + frame(3, b"data")
    + frame(5, b"")
    + frame(3, b"data")
    + frame(4, b""),
    "wanted": b"\1" + frame(72, {"at": 4, "length": 4}),
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
            if name in BINARIES:
                write(target, f"written_{name}", lead + BINARIES[name])
            found = [path for path in files if ending.startswith(".") and path.name.endswith(ending)]
            for at, path in enumerate(sorted(found, key=lambda path: path.stat().st_size)[-PER_NAME:]):
                write(target, f"{at}{ending}", lead + path.read_bytes())
    listed = names("texts")
    for export, (name, content) in EXPORTS.items():
        for way, bits in [("stream", 0), ("barely_held", BARELY_HELD)]:
            lead = bytes([listed.index(name) | bits])
            write("texts", f"{export}_{way}", lead + content.encode())
    listed = names("packages")
    for name, files in ARCHIVES.items():
        for way, bits in [("stream", 0), ("barely_held", BARELY_HELD)]:
            lead = bytes([listed.index("a.zip") | bits])
            write("packages", f"{way}_{name}", lead + archive(files))
    for found in (FIXTURES / "exports" / "pst").glob("*.pst"):
        write("stores", found.name, bytes([BARELY_HELD]) + found.read_bytes())
    for name, content in FRAMES.items():
        write("protocol", name, content)


main()
