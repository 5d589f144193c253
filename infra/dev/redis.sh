# redis - a Redis of our own, its append-only file under the state folder.

redis_start() {
    local folder=$STATE/redis began=$SECONDS
    mkdir -p "$folder" || disk_complain "the folder $folder cannot be made"
    { cat "$TOP/infra/redis/redis.conf" && printf 'port %s\ndir "%s"\n' "$PORT_REDIS" "$folder"; } > "$folder/redis.conf" ||
        disk_complain "Redis' settings cannot be written"
    process_start redis redis-server "$folder/redis.conf"
    wait_until redis $PROCESS_READY_S redis redis_is_ready || process_died redis
    say_done redis "$REDIS" "$began"
}

# redis_is_ready: it answers PING with PONG, and not with LOADING.
redis_is_ready() (
    exec 8<> "/dev/tcp/127.0.0.1/$PORT_REDIS" || exit 1
    printf 'PING\r\n' >&8
    read -r -t 2 answer <&8
    [ "${answer%$'\r'}" = "+PONG" ]
)

redis_stop() { process_stop redis TERM; }
