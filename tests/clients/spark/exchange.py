"""Runs the SQL of docs/spark.md in Spark: exchange.py PAGE FOLDER

FOLDER has a file `SECTION.TYPE.jsonl` for each section of the page and type of elements it is to be run with. Each line
is a key with its elements, and the sketch that Murmur made of them in base64, where it is about one. Elements of the
type `EVENT` are events with several columns. Prints what the views of each section have, by the name of the file, the
view, and the key; where a row is about two keys, they have a slash between them.
"""

import json
import os
import re
import sys
import tempfile
from pathlib import Path

os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"

from pyspark.sql import SparkSession

EVENT = "STRUCT<at: TIMESTAMP, element: STRING, number: BIGINT, version: BIGINT, real: DOUBLE>"


def statements(page):
    """The SQL of each section."""
    sections = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        name, text = section.split("\n", 1)
        blocks = re.findall(r"^```sql\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
        sections[name.strip()] = [part for block in blocks for part in block.split(";") if part.strip()]
    return sections


def start(folder):
    # Small and short: to compile each query and the hot code of the JVM takes most of the time otherwise.
    spark = (
        SparkSession.builder.master("local[1]")
        .config("spark.driver.memory", "512m")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", "-XX:+UseSerialGC -XX:TieredStopAtLevel=1")
        .config("spark.local.dir", folder)
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
        .config("spark.sql.codegen.wholeStage", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.warehouse.dir", f"{folder}/warehouse")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def run(spark, file, element, sql):
    column = EVENT if element == "EVENT" else element
    rows = spark.read.schema(f"key STRING, elements ARRAY<{column}>, sketch BINARY").json(str(file), mode="FAILFAST")
    rows.select("key", "sketch").createOrReplaceTempView("murmur")
    events = rows.selectExpr("key", "explode(elements) AS element")
    if element == "EVENT":
        events = events.select("key", "element.*")
    events.createOrReplaceTempView("events")
    for statement in sql:
        spark.sql(statement)
    names = re.findall(r"CREATE OR REPLACE TEMPORARY VIEW (\w+)", ";".join(sql))
    views = {}
    for view in names:
        lines = spark.sql(f"SELECT to_json(struct(*)) AS line FROM {view}").collect()
        rows = [json.loads(row.line) for row in lines]
        views[view] = {"/".join(row[name] for name in ("key", "other") if name in row): row for row in rows}
    # A section that lacks one must not find another section's.
    for view in names:
        spark.catalog.dropTempView(view)
    return views


def main(page, folder):
    sections = statements(Path(page).read_text(encoding="utf-8"))
    files = sorted(Path(folder).glob("*.jsonl"))
    untested = sections.keys() - {file.stem.split(".")[0] for file in files}
    if untested:
        sys.exit(f"nothing was given to run these sections of {page} with: {', '.join(untested)}")
    with tempfile.TemporaryDirectory() as scratch:
        spark = start(scratch)
        replies = {"version": spark.version}
        for file in files:
            section, element = file.stem.split(".")
            replies[file.stem] = run(spark, file, element, sections[section])
        spark.stop()
    json.dump(replies, sys.stdout)


main(*sys.argv[1:])
