"""Asks a Foedus connector about uses of data. Python's standard library only.

The connector describes its API itself: the paths are taken from /openapi.json by the names of the operations.
"""

import json
import urllib.error
import urllib.parse
import urllib.request


class Refused(Exception):
    """The connector does not permit the use. `code` is stable, the message says why in plain words."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class UsageControl:
    """The usage calls of one connector, with a token of the scope `use`."""

    def __init__(self, url, token, timeout=30):
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout
        document = self._send("GET", "/openapi.json")
        self._operations = {
            operation["operationId"]: (method.upper(), path)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

    def decide(self, agreement, request):
        """Says whether `request` is permitted, without charging anything. Returns the decision."""
        return self._call("decideUsage", {"agreementId": agreement, "request": request})

    def reserve(self, agreement, key, request):
        """Decides and reserves the charges in one step; the same key never charges twice.

        Returns {"entry", "decision"}. Raises Refused.
        """
        return self._call("reserveUsage", {"agreementId": agreement, "key": key, "request": request})

    def commit(self, entry):
        """Makes a reservation final: call it before anything is let out."""
        return self._call("commitReservation", {}, id=entry)

    def refund(self, entry):
        """Gives a reservation back under which nothing was let out."""
        return self._call("refundReservation", {}, id=entry)

    def account(self, agreement):
        """Shows what is spent and left."""
        return self._call("getAccount", None, agreementId=agreement)

    def _call(self, operation, body, **parameters):
        method, path = self._operations[operation]
        for name, value in parameters.items():
            path = path.replace("{%s}" % name, urllib.parse.quote(value, safe=""))
        return self._send(method, path, body)

    def _send(self, method, path, body=None):
        request = urllib.request.Request(
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"authorization": "Bearer " + self._token, "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            problem = _problem(error.read())
            raise Refused(problem.get("code", str(error.code)), problem.get("message", str(error))) from None
        except urllib.error.URLError as error:
            # Whoever cannot ask lets nothing out.
            raise Refused("unavailable", "The connector at %s does not answer: %s" % (self._url, error.reason)) from None


def _problem(body):
    try:
        problem = json.loads(body)
        return problem if isinstance(problem, dict) else {}
    except ValueError:
        return {}
