"""Writes the fixtures of TestFixtures: the same documents as other programs write them.

    pip install pyarrow==26.0.1 && python3 fixtures.py      (and the programs gzip and zstd)
"""
import json, os, subprocess
import pyarrow as pa, pyarrow.parquet as pq

os.chdir(os.path.dirname(os.path.abspath(__file__)))
texts = ["plain ASCII", "Grüße, καλημέρα, 你好", "emoji \U0001f600 and \U0001d11e", 'quotes " and \\ and /', "two\nlines\r\nand a\ttab",
         "a replacement \ufffd stays", "\u2028 separates lines in JavaScript", "plain ASCII", "x" * 3000, " spaces around "]
rows = [{"id": i, "story": t, "source": None} for i, t in enumerate(texts)]

with open("documents.json", "w") as f:
    json.dump(texts, f)
for name, ascii in [("ascii", True), ("utf-8", False)]:
    with open(name + ".jsonl", "w", encoding="utf-8", newline="\n") as f:
        for r in rows:
            f.write(json.dumps(r, ensure_ascii=ascii) + "\n")
subprocess.run("""
    gzip -9nkf utf-8.jsonl
    zstd -qf --ultra -22 --long=27 utf-8.jsonl -o utf-8.jsonl.zst
    (head -4 utf-8.jsonl | gzip -9n; tail -n +5 utf-8.jsonl | gzip -9n) > two.jsonl.gz
""", shell=True, check=True)
table = pa.table({"id": pa.array(range(len(texts))), "story": texts, "words": [t.split() for t in texts]})
pq.write_table(table, "snappy.parquet", compression="snappy", row_group_size=4)
pq.write_table(table, "zstd-v2.parquet", compression="zstd", data_page_version="2.0", use_dictionary=False, data_page_size=64)
pq.write_table(table, "brotli-delta.parquet", compression="brotli", use_dictionary=False, column_encoding={"story": "DELTA_BYTE_ARRAY", "id": "PLAIN", "words.list.element": "PLAIN"})
large = table.set_column(1, "story", table["story"].cast(pa.large_string()))
pq.write_table(large, "gzip-large.parquet", compression="gzip")
