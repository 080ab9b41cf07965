"""Reads rows under an agreement as an Arrow stream: read.py CONNECTOR.JSON AGREEMENT [PURPOSE [COLUMN,COLUMN…]]"""

import http.client
import json
import pathlib
import ssl
import sys
from urllib.parse import quote, urlencode, urlsplit

import pyarrow


def answer_of(response):
    answer = json.loads(response.read() or "null")
    return answer if response.status < 300 else sys.exit(f"Refused: {answer['message']}")


def main(config_file, agreement, purpose=None, columns=None):
    folder = pathlib.Path(config_file).resolve().parent
    config = json.loads(pathlib.Path(config_file).read_text())
    management, identity = config["management"], config["identity"]
    token = (folder / management["tokenFile"]).read_text().strip()

    def operator(method, path, body=None):
        """Asks the own connector, on this machine."""
        connection = http.client.HTTPConnection(management.get("host", "127.0.0.1"), management["port"])
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        return answer_of(connection.getresponse())

    # The own connector asks the provider for a transfer; when it has started, it has an address and a token.
    transfer = operator("POST", "/transfers", {"agreementId": agreement, "format": "HttpData-PULL"})
    path = f"/transfers/{quote(transfer['id'], safe='')}"
    transfer = operator("GET", f"{path}?wait=60&until=STARTED")
    if transfer["state"] != "STARTED":
        sys.exit(f"The transfer is {transfer['state']}: {transfer.get('reason', 'no reason given')}")
    # The rows come from the provider itself, over mutual TLS: with the certificate of this organisation.
    tls = ssl.create_default_context(cafile=folder / identity["trustAnchors"])
    tls.load_cert_chain(folder / identity["tlsCertificate"], folder / identity["tlsKey"])
    address = urlsplit(transfer["dataAddress"]["endpoint"])
    connection = http.client.HTTPSConnection(address.netloc, context=tls)
    connection.connect()
    if ("URI", transfer["counterPartyId"]) not in connection.sock.getpeercert()["subjectAltName"]:
        sys.exit(f"The server is not {transfer['counterPartyId']}.")
    asked = urlencode({name: value for name, value in (("purpose", purpose), ("columns", columns)) if value})
    bearer = transfer["dataAddress"]["properties"]["authorization"]
    connection.request("GET", f"{address.path}?{asked}", headers={"authorization": f"Bearer {bearer}"})
    response = connection.getresponse()
    # A stream that the provider cuts raises an error: what was read until then is not the whole.
    reader = pyarrow.ipc.open_stream(response) if response.status == 200 else answer_of(response)
    table = reader.read_all()
    response.read()
    operator("POST", f"{path}/completion", {})
    print(table.slice(0, 3).to_pylist(), f"… {table.num_rows} rows", table.schema, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
