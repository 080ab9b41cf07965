"""An application that uses data under an agreement: it asks its own connector first, and does what it says.

    python3 enforcement_point.py --url http://127.0.0.1:7102 --token-file use.token \\
        --agreement urn:uuid:… --purpose https://w3id.org/dpv#ResearchAndDevelopment rows.csv out.csv

Ends with 0, or with 3 where the use is refused or cannot be enforced: then nothing is written and nothing is charged.
"""

import argparse
import csv
import os
import sys
import uuid

from plan import NotUnderstood, cut
from usage_control import Refused, UsageControl


def main():
    options = arguments()
    with open(options.token_file, encoding="utf-8") as file:
        control = UsageControl(options.url, file.read().strip())
    request = {"action": "use"}
    if options.purpose:
        request["purpose"] = options.purpose
    if options.columns:
        request["columns"] = options.columns.split(",")

    decision = control.decide(options.agreement, request)
    for reason in decision["reasons"]:
        print(reason, file=sys.stderr)
    for duty in decision["duties"]:
        who = "the connector does it" if duty["performedByNode"] else duty["by"] + " has to"
        print("Duty: %s %s the use (%s)" % (duty["action"], duty["timing"], who), file=sys.stderr)
    if not decision["permit"]:
        return 3
    if options.ask_only:
        return 0

    # A key of one's own makes it safe to start again after a crash: the same use is charged once.
    reservation = control.reserve(options.agreement, options.key or str(uuid.uuid4()), request)
    entry = reservation["entry"]["id"]
    unfinished = options.output + ".part"
    try:
        rows = write_cut(options, reservation["decision"], unfinished)
        control.commit(entry)
    except BaseException:
        # Nothing was let out, so nothing has to be paid.
        if os.path.exists(unfinished):
            os.remove(unfinished)
        control.refund(entry)
        raise
    os.replace(unfinished, options.output)
    print("%d rows" % rows)
    return 0


def write_cut(options, decision, path):
    """Writes what may be used to `path`. Returns the number of rows."""
    plan = decision["plan"]
    with open(options.input, newline="", encoding="utf-8") as source, open(path, "w", newline="", encoding="utf-8") as out:
        reader = csv.DictReader(source)
        columns = reader.fieldnames or []
        writer = None
        count = 0
        for row in cut(reader, columns, decision, {"participantId": options.participant}):
            if writer is None:
                writer = csv.DictWriter(out, fieldnames=list(row))
                writer.writeheader()
            writer.writerow(row)
            count += 1
        out.flush()
        if plan["byteLimit"] is not None and out.tell() > plan["byteLimit"]:
            raise NotUnderstood("that is more than the %d bytes that one use may have" % plan["byteLimit"])
        os.fsync(out.fileno())
        return count


def arguments():
    parser = argparse.ArgumentParser(description="Uses data under an agreement, as its connector permits.")
    parser.add_argument("--url", required=True, help="the connector's operator API")
    parser.add_argument("--token-file", required=True, help="a token of the scope use")
    parser.add_argument("--agreement", required=True)
    parser.add_argument("--purpose")
    parser.add_argument("--columns", help="only these, with commas between")
    parser.add_argument("--participant", help="who gets the rows, for filters by caller")
    parser.add_argument("--key", help="names this use: the same key is charged once")
    parser.add_argument("--ask-only", action="store_true", help="show the decision, and use nothing")
    parser.add_argument("input", help="a CSV file")
    parser.add_argument("output")
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, NotUnderstood) as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(3)
