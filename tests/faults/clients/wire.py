"""wire - one HTTP request to one server, with every way that it can end: answered, not answered in time, reset, or given up on purpose.

Nothing here raises for what a server or a network does."""
import http.client
import json
import time

ANSWER_MAX = 8 << 20


class Answer:
    """status None: there was no answer, and error says why."""

    def __init__(self, status=None, body=None, headers=None, error=None, begin_ns=0, end_ns=0):
        self.status, self.body, self.headers, self.error = status, body, headers or {}, error
        self.begin_ns, self.end_ns = begin_ns, end_ns

    @property
    def is_unknown(self):
        """This client cannot tell whether it was done. applied: false in a 503 is a promise that it was not."""
        return self.status is None or self.status == 429 or self.status >= 500

    @property
    def problem(self):
        """The slug of a problem document's type, urn:berth:problem:seat-taken."""
        return str(self.body.get("type", "")).rpartition(":")[2] if isinstance(self.body, dict) else ""


class Wire:
    """Keep-alive connections of one client, one a server. One thread at a time."""

    def __init__(self, servers, timeout_s):
        self.servers, self.timeout_s = servers, timeout_s
        self.open = {}

    def ask(self, server, method, path, body, headers, abandon_after_s=None):
        begin_ns = time.monotonic_ns()
        try:
            connection = self._connection(server)
            data = None if body is None else json.dumps(body).encode()
            connection.request(method, path, body=data, headers=headers)
            if abandon_after_s is not None:
                time.sleep(abandon_after_s)
                self._drop(server)
                return Answer(error="abandoned", begin_ns=begin_ns, end_ns=time.monotonic_ns())
            response = connection.getresponse()
            raw = response.read(ANSWER_MAX + 1)
            end_ns = time.monotonic_ns()
            if len(raw) > ANSWER_MAX:
                raise ValueError("an answer over the limit")
            if response.will_close:
                self._drop(server)
            return Answer(response.status, json.loads(raw) if raw else None, response.headers, None, begin_ns, end_ns)
        except (OSError, http.client.HTTPException, ValueError) as reason:
            self._drop(server)
            return Answer(error=f"{type(reason).__name__}: {reason}", begin_ns=begin_ns, end_ns=time.monotonic_ns())

    def _connection(self, server):
        if server not in self.open:
            host, port = self.servers[server].removeprefix("http://").rstrip("/").rsplit(":", 1)
            self.open[server] = http.client.HTTPConnection(host, int(port), timeout=self.timeout_s)
        return self.open[server]

    def _drop(self, server):
        connection = self.open.pop(server, None)
        if connection is not None:
            connection.close()

    def close(self):
        for server in list(self.open):
            self._drop(server)
