"""Makes calls with monero-python and prints what each returned or raised.

stdin: {"port": …, "user": …, "password": …, "calls": [["raw_request", "/get_connections", {}], …]}
stdout: [{"returned": …} or {"raised": CLASS, "message": …}, …]
"""

import json
import logging
import sys

from monero.backends.jsonrpc import JSONRPCDaemon

logging.disable(logging.CRITICAL)

task = json.load(sys.stdin)
daemon = JSONRPCDaemon(
    host="127.0.0.1",
    port=task["port"],
    user=task["user"],
    password=task["password"],
)
outcomes = []
for name, *arguments in task["calls"]:
    try:
        outcomes.append({"returned": getattr(daemon, name)(*arguments)})
    except Exception as e:
        outcomes.append({"raised": type(e).__name__, "message": str(e)})
json.dump(outcomes, sys.stdout)
