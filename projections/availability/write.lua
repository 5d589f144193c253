-- Writes a batch of one partition: the values of its trips and the position, or nothing.
--   KEYS[1]    position            ARGV[1]  the position that the batch began at, '' for none    ARGV[2]  the one after it
--   KEYS[2]    hash of parked trips
--   KEYS[3..]  values of trips     ARGV[3..]  one for each, whose first byte says what is to be done:
--     'n' made anew: u64 seconds since 1970 when Redis may forget it, then runs of bytes
--     'u' update: 8 bytes of the version that it must have, then runs of bytes (u32 offset, u32 size, bytes)
--     'x' parked: id of the trip, a zero byte, why
-- Answers -1 when another projector has moved the position, else how many values were not as they were left (lost or evicted).
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
    return -1
end

local function write_runs(key, runs, at)
    while at <= #runs do
        local offset, size = struct.unpack('<I4I4', runs, at)
        redis.call('SETRANGE', key, offset, string.sub(runs, at + 8, at + 7 + size))
        at = at + 8 + size
    end
end

local lost = 0
for i = 3, #KEYS do
    local key, change = KEYS[i], ARGV[i]
    local kind = string.sub(change, 1, 1)
    if kind == 'n' then
        redis.call('DEL', key)
        write_runs(key, change, 10)
        redis.call('EXPIREAT', key, string.format('%.0f', struct.unpack('<I8', change, 2)))
    elseif kind == 'u' then
        if redis.call('GETRANGE', key, 16, 23) == string.sub(change, 2, 9) then
            write_runs(key, change, 10)
        else
            lost = lost + 1
        end
    else
        local cut = string.find(change, '\0', 2, true)
        redis.call('DEL', key)
        redis.call('HSET', KEYS[2], string.sub(change, 2, cut - 1), string.sub(change, cut + 1))
    end
end
redis.call('SET', KEYS[1], ARGV[2])
return lost
