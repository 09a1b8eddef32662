"""The endpoint's list of what it would have sent: e-mails, texts, pushes, function calls (/_posthaste/outbox)."""

import json
import re
import urllib.request

from sns.receiver import eventually, visit

TOKEN = re.compile(r"Token=([0-9A-Za-z%_-]+)")


class Outbox:
    def __init__(self, endpoint):
        self.url = endpoint.url + "/_posthaste/outbox"

    def offered(self):
        return visit(self.url).status == 200

    def entries(self):
        """All entries; whatever the list is wrapped in."""
        found = json.loads(visit(self.url).body)
        if isinstance(found, dict):
            lists = [value for value in found.values() if isinstance(value, list)]
            assert len(lists) == 1, f"one list is expected: {list(found)}"
            found = lists[0]
        return found

    def clear(self):
        with urllib.request.urlopen(urllib.request.Request(self.url, method="DELETE"), timeout=30):
            pass

    def all_about(self, *words):
        """The entries in which all these words stand."""
        return [entry for entry in self.entries() if all(word in flat(entry) for word in words)]

    def one_about(self, *words):
        """The one entry in which all these words stand, once it is there."""
        found = eventually(lambda: self.all_about(*words), seconds=5)
        assert len(found) == 1, f"expected one entry, got {found}"
        return found[0]

    def token(self, *words):
        """The confirmation token of the one entry about these words."""
        entry = self.one_about(*words)
        if token := field(entry, "token"):
            return token
        return TOKEN.search(flat(entry))[1]


def flat(value):
    """All text in a JSON value, one line each."""
    if isinstance(value, dict):
        return "\n".join(flat(one) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return "\n".join(flat(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value)


def field(value, name):
    """The first text under this name (in any case) in a JSON value, however deep."""
    if isinstance(value, dict):
        for key, one in value.items():
            if key.lower() == name and isinstance(one, str):
                return one
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for one in inner if (found := field(one, name))), None)
