-- Deletes keys of one partition, or fields of a hash, or nothing: while its position is the one that is to be forgotten. So of two projectors that forget at once,
-- the later one takes nothing away that the first has folded anew.
--   KEYS[1]  position    ARGV[1]  the position that must stand there
--   KEYS[2..]  what to delete; the position itself comes last        ARGV[2..]  if there are any: the fields of the hash KEYS[2] to delete instead
-- Answers -1 when another projector has moved the position.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
    return -1
end
if #ARGV > 1 then
    redis.call('HDEL', KEYS[2], unpack(ARGV, 2))
    return 0
end
for i = 2, #KEYS do
    redis.call('DEL', KEYS[i])
end
return 0
