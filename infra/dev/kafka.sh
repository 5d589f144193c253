# kafka - a real broker: one KRaft node from Maven Central's jars, its log under the state folder.
#
# The jars are fetched once into .../kafka/jars. Maven's own repository lies in the state folder while it works and goes away after
# that, so nothing is left in ~/.m2; its settings (mirrors, proxies) are the user's own.

KAFKA_JVM="-Xms256m -Xmx512m -XX:+UseSerialGC"

kafka_folder() { echo "$STATE/kafka"; }

# kafka_fetch: the jars are there afterwards. Another stack of this clone may have them: then they are linked, not fetched.
kafka_fetch() {
    local jars other log=$LOGS/maven.log began=$SECONDS
    jars=$(kafka_folder)/jars
    ! kafka_jars_are_current "$jars" || return 0
    rm -rf "$jars" "$STATE/kafka/maven"
    mkdir -p "$STATE/kafka" || disk_complain "the folder $STATE/kafka cannot be made"
    for other in "$TOP/.berth" "$TOP/.berth-test"; do
        if kafka_jars_are_current "$other/kafka/jars"; then
            cp -rl "$other/kafka/jars" "$jars" 2>/dev/null || { rm -rf "$jars"; cp -r "$other/kafka/jars" "$jars"; } || disk_complain "the jars of Kafka cannot be copied"
            return 0
        fi
    done
    step kafka "$log" mvn -B -ntp -f "$TOP/infra/kafka/pom.xml" -Dmaven.repo.local="$STATE/kafka/maven" \
        dependency:copy-dependencies -DoutputDirectory="$jars" || kafka_complain_fetch "$log"
    cp "$TOP/infra/kafka/pom.xml" "$jars/pom.xml" || disk_complain "the jars of Kafka are incomplete"
    rm -rf "$STATE/kafka/maven"
    say_done kafka "fetched from Maven Central" "$began"
}

# kafka_jars_are_current FOLDER: the list that they were fetched by is copied last, and is this one.
kafka_jars_are_current() { cmp -s "$1/pom.xml" "$TOP/infra/kafka/pom.xml"; }

# kafka_complain_fetch LOG: half a fetch is removed, but only after the look at the disk that it may have filled.
kafka_complain_fetch() {
    local reason full=
    reason=$(grep -m 1 '^\[ERROR\]' "$1" | sed 's/^.ERROR. //; s/ -> .*//' | cut -c 1-240)
    ! disk_is_full || full=yes
    rm -rf "$STATE/kafka/jars" "$STATE/kafka/maven"
    [ -z "$full" ] || die "Kafka could not be fetched: the disk that holds $STATE is full" "Make room there, or name another place: BERTH_STATE=/some/where ./dev up"
    die "Kafka could not be fetched from Maven Central${reason:+: $reason}" \
        "Is repo.maven.apache.org, or the mirror in ~/.m2/settings.xml, to be reached? Or use your own: BERTH_KAFKA_BOOTSTRAP_SERVERS=host:port ./dev up (the log: $1)"
}

kafka_start() {
    local folder began=$SECONDS
    folder=$(kafka_folder)
    mkdir -p "$folder/data" || disk_complain "the folder $folder/data cannot be made"
    sed -e "s|@PORT@|$PORT_KAFKA|g; s|@PORT_CONTROLLER@|$PORT_KAFKA_CONTROLLER|g; s|@DATA@|$folder/data|" \
        "$TOP/infra/kafka/server.properties" > "$folder/server.properties" || disk_complain "Kafka's settings cannot be written"
    [ -e "$folder/data/meta.properties" ] || kafka_format "$folder"
    # shellcheck disable=SC2086
    process_start kafka java $KAFKA_JVM "-Dlog4j2.configurationFile=$TOP/infra/kafka/log4j2.properties" \
        -cp "$folder/jars/*" kafka.Kafka "$folder/server.properties"
    wait_until kafka $PROCESS_READY_S kafka kafka_is_ready || process_died kafka
    say_done kafka "$KAFKA" "$began"
}

# kafka_format FOLDER: a new log gets an id of its own, so that a broker never takes up another's data by mistake.
kafka_format() {
    local id
    id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'AB' | cut -c 1-22)
    java -Xmx128m "-Dlog4j2.configurationFile=$TOP/infra/kafka/log4j2.properties" -cp "$1/jars/*" kafka.tools.StorageTool \
        format --cluster-id "$id" --config "$1/server.properties" > "$LOGS/kafka-format.log" 2>&1 9>&- ||
        disk_complain "Kafka's storage could not be prepared: $(say_last_line "$LOGS/kafka-format.log")" "The log: $LOGS/kafka-format.log"
}

# kafka_is_ready: it says so in this run's part of its log. An open port says less: it is opened before the broker is unfenced.
kafka_is_ready() {
    awk '/^---- started again/ { ready = 0 } /Kafka Server started/ { ready = 1 } END { exit !ready }' "$LOGS/kafka.log"
}

kafka_stop() { process_stop kafka TERM; }
