"""Verifies the signature of an AWS request: prints `valid`, or what is wrong. Reads JSON from stdin."""

import hashlib
import hmac
import json
import sys

request = json.load(sys.stdin)
headers = {}
for line in request["head"].splitlines():
    name, colon, value = line.partition(":")
    if colon:
        headers[name.strip().lower()] = " ".join(value.split())
algorithm, _, rest = headers["authorization"].partition(" ")
parts = dict(part.strip().split("=", 1) for part in rest.split(","))
access_key, day, region, service, end = parts["Credential"].split("/")
names = parts["SignedHeaders"].split(";")
required = ["content-type", "host", "x-amz-date", "x-amz-target"]
required += ["x-amz-security-token"] if request["token"] else []
problems = [f"{name} is not signed" for name in required if name not in names]
if algorithm != "AWS4-HMAC-SHA256" or end != "aws4_request" or names != sorted(names):
    problems.append("malformed")
if (access_key, region, service) != (request["access_key"], request["region"], request["service"]):
    problems.append(f"for {access_key}/{region}/{service}")
if headers.get("x-amz-security-token") != request["token"] or headers["x-amz-date"][:8] != day:
    problems.append("another token or day")
canonical = "\n".join(
    [request["method"], request["target"], ""]
    + [f"{name}:{headers[name]}" for name in names]
    + ["", ";".join(names), hashlib.sha256(request["body"].encode()).hexdigest()]
)
scope = "/".join([day, region, service, end])
text = "\n".join([algorithm, headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
key = ("AWS4" + request["secret_key"]).encode()
for part in [day, region, service, end]:
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() != parts["Signature"]:
    problems.append("the signature does not match")
print("; ".join(problems) or "valid")
