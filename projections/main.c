/* berth-projections - runs every read model that was built in, each on a thread of its own, until it is told to stop. */
#include "core/memory.h"
#include "io/config/config.h"
#include "io/http/admin.h"
#include "io/log/log.h"
#include "io/process/process.h"
#include "projections/loop/projector.h"
#include "projections/projection.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PROJECTIONS_MAX 16
#define STOP_LIMIT_S 30

typedef struct settings {
    const char *postgres_dsn, *redis_url, *admin_listen, *log_level, *models, *topics_prefix;
    bool postgres_durable;
} settings;

static const bt_setting setting_table[] = {
    { "postgres.dsn", BT_SETTING_STR, offsetof(settings, postgres_dsn), "postgresql://berth@127.0.0.1:5432/berth", "where the tables are kept; PgBouncer in transaction mode will do",
      .secret = true },
    { "postgres.durable", BT_SETTING_BOOL, offsetof(settings, postgres_durable), "false",
      "wait for the disk at each batch; without it a crash of Postgres costs a moment of reading the log again, and nothing else" },
    { "redis.url", BT_SETTING_STR, offsetof(settings, redis_url), "redis://127.0.0.1:6379/0", "where availability is kept: redis://[[user]:password@]host[:port][/database]; rediss:// for TLS, then also ?ssl_ca_certs=FILE",
      .secret = true },
    { "admin.listen", BT_SETTING_STR, offsetof(settings, admin_listen), "127.0.0.1:18092", "health and metrics: host:port" },
    { "log.level", BT_SETTING_CHOICE, offsetof(settings, log_level), "info", "least level that is written", .choices = "debug|info|warn|error" },
    { "topics.prefix", BT_SETTING_STR, offsetof(settings, topics_prefix), "berth.", "what the topics of this log begin with; a kind of stream follows" },
    { "models", BT_SETTING_STR, offsetof(settings, models), "", "only these read models, with commas between; empty for all" },
};

static const bt_config_spec spec = {
    .program = "berth-projections",
    .about = "Folds the events of the log into the read models that berth-query-api reads: tables in Postgres, availability in Redis.",
    .settings = setting_table,
    .setting_count = BT_COUNT_OF(setting_table),
    .passthrough = "kafka.",
    .passthrough_help = "any setting of librdkafka, as kafka.bootstrap.servers=127.0.0.1:9092",
};

typedef struct running {
    const bt_projection *projection;
    char topic[250];
    bt_sink sink;
    bt_projector *projector;
    pthread_t thread;
} running;

typedef struct program {
    settings settings;
    bt_kafka_setting kafka_settings[BT_KAFKA_SETTINGS_MAX];
    bt_kafka_config kafka;
    bt_metrics *metrics;
    bt_admin *admin;
    running running[PROJECTIONS_MAX];
    size_t running_count;
} program;

static bool is_listed(const char *models, const char *name)
{
    for (const char *word = models; *word; word += strspn(word, ", ")) {
        size_t size = strcspn(word, ", ");
        if (bt_str_is((bt_str){ word, size }, name))
            return true;
        word += size;
    }
    return models[0] == 0;
}

static void *run(void *context)
{
    bt_projector_run(context);
    return NULL;
}

static bool is_ready(void *context, char ret_reason[BT_ADMIN_REASON_MAX])
{
    _Static_assert(BT_ADMIN_REASON_MAX == BT_PROJECTOR_REASON_MAX, "one is handed to the other");
    return bt_projector_is_ready(context, ret_reason);
}

static bool set_up(program *self, const bt_config *config, bt_err *err)
{
    bt_projection_settings kept_in = { .postgres_dsn = self->settings.postgres_dsn, .redis_url = self->settings.redis_url,
                                             .async_commit = !self->settings.postgres_durable };
    if (config->pair_count > BT_KAFKA_SETTINGS_MAX)
        return bt_fail(err, BT_ERR_INPUT, 0, "more than %d settings for Kafka", BT_KAFKA_SETTINGS_MAX);
    for (size_t i = 0; i < config->pair_count; i++)
        self->kafka_settings[i] = (bt_kafka_setting){ config->pairs[i].name, config->pairs[i].value };
    self->kafka = (bt_kafka_config){ .settings = self->kafka_settings, .setting_count = config->pair_count, .client_id = "berth-projections" };
    if (!bt_kafka_config_check(&self->kafka, err))
        return false;
    for (size_t i = 0; i < bt_projection_count; i++) {
        running *one = &self->running[self->running_count];
        if (!is_listed(self->settings.models, bt_projections[i]->name))
            continue;
        bt_assert(self->running_count < PROJECTIONS_MAX);
        one->projection = bt_projections[i];
        snprintf(one->topic, sizeof one->topic, "%s%s", self->settings.topics_prefix, one->projection->kind);
        kept_in.topic = one->topic;
        if (!one->projection->sink_new(one->projection, &kept_in, &one->sink, err))
            return false;
        one->projector = bt_projector_new(&(bt_projector_options){ .model = one->projection->name, .topic = one->topic, .kafka = &self->kafka,
                                                                   .sink = one->sink, .metrics = self->metrics });
        self->running_count++;
    }
    return self->running_count > 0 || bt_fail(err, BT_ERR_INPUT, 0, "models: no such read model: %s", self->settings.models);
}

static bool start_admin(program *self, bt_err *err)
{
    bt_admin_check checks[PROJECTIONS_MAX];
    for (size_t i = 0; i < self->running_count; i++)
        checks[i] = (bt_admin_check){ .name = self->running[i].projection->name, .is_ready = is_ready, .context = self->running[i].projector };
    return bt_admin_start(&(bt_admin_options){ .server = spec.program, .version = bt_version_stamp(), .listen = self->settings.admin_listen, .checks = checks,
                                                      .check_count = self->running_count, .metrics = self->metrics },
                                 &self->admin, err);
}

static void tear_down(program *self)
{
    bt_admin_free(self->admin); /* first: whoever asks whether it is ready looks into the projectors */
    for (size_t i = 0; i < self->running_count; i++) {
        bt_projector_free(self->running[i].projector);
        self->running[i].projection->sink_free(&self->running[i].sink);
    }
    bt_metrics_free(self->metrics);
}

/* Signals are taken by the main thread alone, which does nothing else. */
static void wait_for_signal(const sigset_t *signals)
{
    int signal_number = 0;
    sigwait(signals, &signal_number);
    bt_log_info("server.stopping", F_I64("signal", signal_number));
    alarm(STOP_LIMIT_S); /* a batch that hangs is as good as one that was cut off: nothing is lost, so it may end the hard way */
}

int main(int argc, char *argv[])
{
    program self = { 0 };
    bt_config config;
    bt_log_level level = BT_LOG_INFO;
    bt_err err;
    sigset_t signals;
    bt_config_load_or_exit(&config, &spec, argc, argv, &self.settings);
    bt_http_listen_or_exit(spec.program, "admin.listen", self.settings.admin_listen);
    if (bt_log_level_from_text(self.settings.log_level, &level))
        bt_log_init(spec.program, bt_version_stamp(), level);
    bt_kafka_set_log(bt_log_kafka_client);
    bt_process_prepare();
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: all inherit it */
    self.metrics = bt_metrics_new();
    if (!set_up(&self, &config, &err) || !start_admin(&self, &err)) {
        fprintf(stderr, "%s: %s\n", spec.program, err.message);
        tear_down(&self);
        bt_config_release(&config);
        return 2;
    }
    for (size_t i = 0; i < self.running_count; i++)
        if (pthread_create(&self.running[i].thread, NULL, run, self.running[i].projector) != 0)
            abort();
    bt_log_info("server.started", F_STR("admin", self.settings.admin_listen), F_I64("models", self.running_count));
    wait_for_signal(&signals);
    bt_admin_set_stopping(self.admin);
    for (size_t i = 0; i < self.running_count; i++)
        bt_projector_stop(self.running[i].projector);
    for (size_t i = 0; i < self.running_count; i++)
        pthread_join(self.running[i].thread, NULL);
    tear_down(&self);
    bt_config_release(&config);
    bt_log_info("server.stopped");
    bt_log_flush();
    return 0;
}
