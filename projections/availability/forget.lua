-- Deletes keys of one partition, or nothing: while its position is the one that is to be forgotten.
--   KEYS[1]  position    ARGV[1]  the position that must stand there    KEYS[2..]  what to delete; the position itself comes last
-- Answers -1 when another projector has moved the position.
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then
    return -1
end
for i = 2, #KEYS do
    redis.call('DEL', KEYS[i])
end
return 0
