"""Templates of transformations: text in MiniJinja's language, read to a program that Envoy's Lua filter runs.

It knows neither Envoy nor a policy. What a user writes never becomes code: a program is data, and the only Lua is ours
(`runtime/`, tested through the real Envoy).
"""
