# The load harness sends one message a second for 1.5 s. All are answered, so the server is not saturated.
from lab import *
import json
h = Hebra("--log-messages", "off")
path = scratch() + "/run.json"
code, out, err = load("--addr", f"127.0.0.1:{h.port}", "--connections", "1", "--rate", "1", "--duration", "1500ms", "--warmup", "500ms", "--json", path)
j = json.load(open(path))
verdict(not j["saturated"], f"saturated {j['saturated']}, unsent {j['unsent']}, answered {j['total_messages']}, rate {j['achieved_rate']:.2f}", "not saturated: every message that was due was sent and answered")
