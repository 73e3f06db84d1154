"""A center of three sites with accounts on either database, asked over HTTP as browsers and programs ask it."""

import asyncio
import base64
import json

import httpx
from argon2 import PasswordHasher
from itsdangerous import TimestampSigner
from tenants import NOW_NS, SITES, make

from center.accounts import keys, passwords, people, tokens
from center.accounts.audit import Actor
from center.accounts.guesses import Asker
from center.accounts.identify import COOKIE, KEY, Accounts
from center.accounts.schema import open_accounts
from center.database.declarations import open_declarations
from center.ingest.declaration_sender import DeclarationSender
from center.ingest.mqtt import BrokerSettings
from center.ingest.worker import Ingest
from center.run.application import application

PASSWORD = "đúng là mật khẩu"
# the same function, cheaper: these tests hash some hundred passwords on two busy cores
passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
ROOT = Actor("root (command)")
BROWSER = {"Accept": "text/html,*/*"}


class Plant:
    """The application with its accounts; `now_ns` is told."""

    def __init__(self, folder, url, sites=SITES):
        self.now_ns, self.url = NOW_NS, url
        self.center = make(folder, sites, "nhip")
        self.accounts = Accounts(open_accounts(url), now_ns=lambda: self.now_ns)
        self.engine = self.accounts.engine
        self.app = self.whole()

    def whole(self, **parts):
        """An application with all its routes but the console's; parts: notices, findings and alerts, as `application` says."""
        ingest = Ingest(self.center, BrokerSettings("127.0.0.1", 9), patient=False)
        declaring = DeclarationSender(open_declarations(self.url), ingest.publish, self.center.now_ns)
        return application(self.center, ingest, declaring, self.accounts, **parts)

    def add(self, name, role="factory", sites=(), password=PASSWORD):
        people.add_user(self.engine, self.now_ns, ROOT, name, role=role, sites=sites, password=password)

    def token(self, name, sites=(), scope="read", expires_ns=None):
        return tokens.add_token(self.engine, self.now_ns, ROOT, name, sites=sites, scope=scope, expires_ns=expires_ns)

    def log_in(self, name, password=PASSWORD, address="192.0.2.7", browser=""):
        """What comes of it: `LoggedIn`, `Wait` or None."""
        return asyncio.run(self.accounts.log_in(name, password, Asker(address, browser)))

    def browser(self, address="192.0.2.7"):
        return Browser(self.app, address)

    def close(self):
        self.center.store.close()
        self.engine.dispose()


class Browser:
    """Keeps its cookies from one request to the next."""

    def __init__(self, app, address):
        self._transport = httpx.ASGITransport(app, client=(address, 50_000))
        self.cookies = httpx.Cookies()

    def ask(self, method, url, **more):
        return asyncio.run(self._ask(method, url, **more))

    def get(self, url, **more):
        return self.ask("GET", url, **more)

    def post(self, url, **more):
        return self.ask("POST", url, **more)

    def log_in(self, name, password=PASSWORD, **more):
        return self.post("/login", data={"name": name, "password": password, **more})

    async def _ask(self, method, url, headers=None, **more):
        async with httpx.AsyncClient(
            transport=self._transport, base_url="http://center", cookies=self.cookies
        ) as client:
            answer = await client.request(method, url, headers={**BROWSER, **(headers or {})}, **more)
            self.cookies = client.cookies
            return answer


def bearer(secret):
    return {"Authorization": f"Bearer {secret}", "Accept": "application/json"}


def cookie(engine, key):
    """The session cookie that a login sets."""
    data = base64.b64encode(json.dumps({KEY: key}).encode())
    return {"Cookie": f"{COOKIE}={TimestampSigner(keys.signing_key(engine)).sign(data).decode()}"}
