"""What runs in Redis, and under which keys.

Everything of one group has the group's name as hash tag, so that in a Cluster it is in one place:

* ``<prefix>:{<group>}:c``: the channel.
* ``...:m``: a hash of the epoch ``e`` and the number ``n`` of the last message; ``...:h``: a stream of the last
  messages, whose ids are ``<n>-0``. Both only in groups with history.
* ``...:w``: the processes that have members; ``...:p:<process>``: a hash of their numbers and infos.

And for all groups:

* ``<prefix>:alive``: a sorted set of the processes with members, by the time (ms, of Redis) until which they are taken
  to live.
* ``<prefix>:g:<process>``: the groups in which a process has members.

For what processes count, but groups don't:

* ``<prefix>:counting``: a sorted set of the processes that count, like ``alive``.
* ``<prefix>:n:<key>``: a hash of what each has of one key.
"""

from __future__ import annotations

from hashlib import sha1

__all__ = [
    "ALIVE",
    "BURY",
    "COUNT",
    "COUNTING",
    "HEARTBEAT",
    "KEEP",
    "MEMBERS",
    "READ",
    "SET_COUNT",
    "SYNC",
    "UPDATE",
    "Keys",
    "Script",
]


class Keys:
    """The names of the keys."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.alive = f"{prefix}:alive"
        self.counting = f"{prefix}:counting"

    def _of_group(self, name: str, kind: str) -> str:
        return f"{self._prefix}:{{{name}}}:{kind}"

    def channel(self, name: str) -> str:
        return self._of_group(name, "c")

    def meta(self, name: str) -> str:
        return self._of_group(name, "m")

    def stream(self, name: str) -> str:
        return self._of_group(name, "h")

    def processes(self, name: str) -> str:
        return self._of_group(name, "w")

    def presence(self, name: str, process: str) -> str:
        return self._of_group(name, f"p:{process}")

    def number(self, key: str) -> str:
        return f"{self._prefix}:n:{key}"

    def groups_of(self, process: str) -> str:
        return f"{self._prefix}:g:{process}"


class Script:
    """A script, and what Redis knows it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()


KEEP = Script("""
-- Give a message its position, keep it, and publish it.
-- KEYS: m h c; ARGV: epoch if there is none, size, ttl of h and of m in ms, PUBLISH or SPUBLISH, kind, exclude, body
local epoch = redis.call('HGET', KEYS[1], 'e')
if not epoch then
    epoch = ARGV[1]
    redis.call('HSET', KEYS[1], 'e', epoch)
    redis.call('DEL', KEYS[2])
end
local n = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'n', 1))
local position = epoch .. '.' .. n
redis.call('XADD', KEYS[2], 'MAXLEN', '=', ARGV[2], n .. '-0', 'k', ARGV[6], 'x', ARGV[7], 'b', ARGV[8])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call(ARGV[5], KEYS[3], ARGV[6] .. ' ' .. position .. ' ' .. ARGV[7] .. '\\n' .. ARGV[8])
return position
""")

READ = Script("""
-- Return the epoch, the last number, whether nothing is missing, and the messages behind a place.
-- KEYS: m h; ARGV: epoch, number, count, whether the caller was given that place, another epoch
local meta = redis.call('HMGET', KEYS[1], 'e', 'n')
local epoch, last = meta[1], tonumber(meta[2] or 0)
local after, count = tonumber(ARGV[2]), tonumber(ARGV[3])
if not epoch then
    return {'', '0', ARGV[1] == '' and 1 or 0, {}}
end
if count == 0 then
    return {epoch, string.format('%.0f', last), 1, {}}
end
local known = ARGV[1] == '' or (ARGV[1] == epoch and after <= last)
if ARGV[4] == '1' and ARGV[1] == epoch and after > last then
    -- The server has forgotten its latest messages: one that lags behind has taken over, or it has crashed. The same
    -- positions must not come again.
    epoch = ARGV[5]
    redis.call('HSET', KEYS[1], 'e', epoch)
    redis.call('DEL', KEYS[2])
end
if not known then
    after = 0
end
local found = redis.call('XRANGE', KEYS[2], string.format('(%.0f-0', after), '+', 'COUNT', count)
local complete = known and (after == last or (found[1] ~= nil and found[1][1] == string.format('%.0f-0', after + 1)))
local messages = {}
for i, entry in ipairs(found) do
    local fields = entry[2]
    messages[i] = {string.match(entry[1], '^%d+'), fields[2], fields[4], fields[6]}
end
return {epoch, string.format('%.0f', last), complete and 1 or 0, messages}
""")

_LIST = """
-- List the process if it has members. KEYS: w p; ARGV: process
if redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('SADD', KEYS[1], ARGV[1])
else
    redis.call('SREM', KEYS[1], ARGV[1])
end
"""

UPDATE = Script(
    """
-- Record members of a process, and tell. KEYS: w p c; ARGV: process, PUBLISH or SPUBLISH, then for each its number,
-- '+' or '-', and its info ('' for none)
for i = 3, #ARGV, 3 do
    local number, kind, info = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local changed
    if kind == '+' then
        changed = redis.call('HGET', KEYS[2], number) ~= info
        redis.call('HSET', KEYS[2], number, info)
    else
        changed = redis.call('HDEL', KEYS[2], number) == 1
    end
    if changed and info ~= '' then
        redis.call(ARGV[2], KEYS[3], kind .. ' - -\\n' .. info)
    end
end
"""
    + _LIST
)

SYNC = Script(
    """
-- Make the members of a process what they are, and tell. KEYS: w p c; ARGV: process, PUBLISH or SPUBLISH, then for each
-- its number and its info
local now = {}
for i = 3, #ARGV, 2 do
    now[ARGV[i]] = ARGV[i + 1]
end
local known = redis.call('HGETALL', KEYS[2])
for i = 1, #known, 2 do
    local number, info = known[i], known[i + 1]
    if now[number] == nil then
        redis.call('HDEL', KEYS[2], number)
        if info ~= '' then
            redis.call(ARGV[2], KEYS[3], '- - -\\n' .. info)
        end
    elseif now[number] == info then
        now[number] = nil
    end
end
for number, info in pairs(now) do
    redis.call('HSET', KEYS[2], number, info)
    if info ~= '' then
        redis.call(ARGV[2], KEYS[3], '+ - -\\n' .. info)
    end
end
"""
    + _LIST
)

BURY = Script("""
-- Remove the members of a process that has died, and tell. KEYS: w p c; ARGV: process, PUBLISH or SPUBLISH
for _, info in ipairs(redis.call('HVALS', KEYS[2])) do
    if info ~= '' then
        redis.call(ARGV[2], KEYS[3], '- - -\\n' .. info)
    end
end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[1], ARGV[1])
""")

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

HEARTBEAT = Script(
    """
-- Live on. Return whether the process was alive until now, and those that are not. KEYS: alive; ARGV: process, ms
"""
    + _NOW
    + """
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
return {before and tonumber(before) > now and 1 or 0, dead}
"""
)

ALIVE = Script(
    """
-- Return the processes that are alive. KEYS: alive
"""
    + _NOW
    + """
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
"""
)

MEMBERS = Script("""
-- Return the processes that have members, and the infos of those of each. KEYS: w; ARGV: what comes before a process in
-- the name of its hash, whose hash tag is that of w
local result = {}
for i, process in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    result[i] = {process, redis.call('HGETALL', ARGV[1] .. process)}
end
return result
""")

COUNT = Script("""
-- The same, with numbers of members.
local result = {}
for i, process in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    result[i] = {process, redis.call('HLEN', ARGV[1] .. process)}
end
return result
""")

COUNTING = Script(
    """
-- Live on. Return whether the process was known until now, and all that are. KEYS: counting; ARGV: process, ms, names
-- that it had before
"""
    + _NOW
    + """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
for i = 3, #ARGV do
    redis.call('ZREM', KEYS[1], ARGV[i])
end
local before = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
return {before and 1 or 0, redis.call('ZRANGE', KEYS[1], 0, -1)}
"""
)

SET_COUNT = Script("""
-- Record what a process has, and return what each has. KEYS: n; ARGV: process, its number, ms until all is forgotten
if ARGV[2] == '0' then
    redis.call('HDEL', KEYS[1], ARGV[1])
else
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
return redis.call('HGETALL', KEYS[1])
""")
