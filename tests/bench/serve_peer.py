"""The peer of `kv serve`: get and set of an object by its id, over HTTP, with Flask and SQLite in one
process, as small services are written. Usage: serve_peer.py PORT FILE"""

import logging
import sqlite3
import sys
import threading

from flask import Flask, jsonify, request

app = Flask(__name__)
local = threading.local()


def database():
    if not hasattr(local, "db"):
        local.db = sqlite3.connect(sys.argv[2], timeout=30)
        local.db.execute("PRAGMA journal_mode=WAL")
        local.db.execute("PRAGMA synchronous=OFF")
    return local.db


@app.post("/get")
def get():
    row = database().execute("SELECT value FROM t WHERE id = ?", (request.json["id"],)).fetchone()
    return jsonify(result=row and row[0])


@app.post("/set")
def set():
    with database() as db:
        db.execute("INSERT OR REPLACE INTO t VALUES (?, ?)", (request.json["id"], request.json["value"]))
    return jsonify(result=True)


database().execute("CREATE TABLE IF NOT EXISTS t (id TEXT PRIMARY KEY, value TEXT)")
logging.getLogger("werkzeug").disabled = True
app.run(port=int(sys.argv[1]), threaded=True)
