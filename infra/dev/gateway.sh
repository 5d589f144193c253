# gateway - nginx in front of both servers: one URL, reads to one side, orders to the other.

gateway_start() {
    local folder=$STATE/gateway user= began=$SECONDS
    mkdir -p "$folder" || disk_complain "the folder $folder cannot be made"
    [ "$(id -u)" -ne 0 ] || user="user nobody nogroup;"
    sed -e "s|@USER@|$user|; s|@FOLDER@|$folder|g; s|@LISTEN@|127.0.0.1:$PORT_API|" \
        -e "s|@COMMANDS@|127.0.0.1:$PORT_COMMANDS|; s|@QUERY@|127.0.0.1:$PORT_QUERY|" \
        "$TOP/infra/gateway/nginx.conf" > "$folder/nginx.conf" || disk_complain "the gateway's settings cannot be written"
    # -e: the log that is opened before the settings are read would otherwise be /var/log/nginx/error.log.
    process_start gateway "$(gateway_program)" -p "$folder" -e stderr -c "$folder/nginx.conf"
    wait_until gateway $PROCESS_READY_S gateway port_listener "$PORT_API" || process_died gateway
    say_done gateway "$(status_address gateway)" "$began"
}

# gateway_program: /usr/sbin is not in everybody's path.
gateway_program() { command -v nginx || echo /usr/sbin/nginx; }

# gateway_stop: QUIT lets requests in flight end.
gateway_stop() { process_stop gateway QUIT; }
