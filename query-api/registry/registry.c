/* registry - the schemas of all events in the REST form of Confluent's schema registry, read-only, so that a stock deserializer given this
 * server's address reads the topics with no further server.
 *
 * What it serves is what this binary was built with (schemas/ids.tsv): nothing can be registered here, and no database is asked. Its errors have
 * Confluent's form, {"error_code":40403,"message":...}, for its clients look at nothing else. */
#include "core/schema.h"
#include "query-api/server/server.h"

#define MEDIA_TYPE "application/vnd.schemaregistry.v1+json"

static void answer_json(qa_call *call, const bt_buf *json, const char *cache_control)
{
    qa_answer(call, &(qa_reply){ .body = bt_buf_view(json), .content_type = MEDIA_TYPE, .etag = qa_etag_of_body(call, bt_buf_view(json)), .cache_control = cache_control });
}

static void refuse(qa_call *call, int status, int code, const char *message)
{
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_i64(&json, "error_code", code);
    bt_json_str(&json, "message", bt_str_of(message));
    bt_json_close(&json, '}');
    bt_http_respond(qa_call_end(call), &(bt_http_response){ .status = status, .content_type = MEDIA_TYPE, .body = bt_buf_view(&json) });
    bt_buf_release(&json);
}

/* A whole number from 1 on; 0 for anything else. */
static int64_t number_of(bt_str text)
{
    int64_t number = 0;
    if (text.size > 9)
        return 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return 0;
        number = number * 10 + (text.at[i] - '0');
    }
    return number;
}

static const bt_schema_version *by_id(qa_call *call)
{
    int64_t id = number_of(bt_http_param(call->http, "id"));
    const bt_schema_version *found = id == 0 ? NULL : bt_schema_set_find(&bt_schemas, (uint32_t)id);
    if (found == NULL)
        refuse(call, 404, 40403, "Schema not found");
    return found;
}

/* What write says of the version that the path's id means. */
static bool answer_of_id(qa_call *call, void (*write)(bt_buf *json, const bt_schema_version *version), const char *cache_control)
{
    const bt_schema_version *found = by_id(call);
    if (found == NULL)
        return true;
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    write(&json, found);
    answer_json(call, &json, cache_control);
    bt_buf_release(&json);
    return true;
}

static void write_schema(bt_buf *json, const bt_schema_version *version)
{
    bt_json_open(json, NULL, '{');
    bt_json_str(json, "schema", bt_str_of(version->avsc));
    bt_json_close(json, '}');
}

/* An id means its text for good. */
static bool answer_id(qa_call *call) { return answer_of_id(call, write_schema, "public, max-age=86400, immutable"); }

static bool answer_id_schema(qa_call *call)
{
    const bt_schema_version *found = by_id(call);
    if (found != NULL)
        qa_answer(call, &(qa_reply){ .body = bt_str_of(found->avsc), .content_type = MEDIA_TYPE, .cache_control = "public, max-age=86400, immutable" });
    return true;
}

/* Here an id has one subject and one version: ids.tsv gives each frozen version its own. The form allows for several. */
static void write_versions(bt_buf *json, const bt_schema_version *version)
{
    bt_json_open(json, NULL, '[');
    bt_json_open(json, NULL, '{');
    bt_json_str(json, "subject", bt_str_of(version->subject));
    bt_json_i64(json, "version", version->version);
    bt_json_close(json, '}');
    bt_json_close(json, ']');
}

static bool answer_id_versions(qa_call *call) { return answer_of_id(call, write_versions, NULL); }

static void write_subjects(bt_buf *json, const bt_schema_version *version)
{
    bt_json_open(json, NULL, '[');
    bt_json_str(json, NULL, bt_str_of(version->subject));
    bt_json_close(json, ']');
}

static bool answer_id_subjects(qa_call *call) { return answer_of_id(call, write_subjects, NULL); }

static bool answer_types(qa_call *call)
{
    qa_answer(call, &(qa_reply){ .body = BT_STR("[\"AVRO\"]"), .content_type = MEDIA_TYPE });
    return true;
}

static bool answer_config(qa_call *call)
{
    qa_answer(call, &(qa_reply){ .body = BT_STR("{\"compatibilityLevel\":\"FULL_TRANSITIVE\"}"), .content_type = MEDIA_TYPE });
    return true;
}

/* One rule for all, so a subject's own is the same; but only of a subject that there is. */
static bool answer_subject_config(qa_call *call)
{
    bt_str subject = bt_http_param(call->http, "subject");
    for (size_t i = 0; i < bt_schemas.version_count; i++)
        if (bt_str_is(subject, bt_schemas.versions[i].subject))
            return answer_config(call);
    refuse(call, 404, 40401, "Subject not found");
    return true;
}

static bool answer_mode(qa_call *call)
{
    qa_answer(call, &(qa_reply){ .body = BT_STR("{\"mode\":\"READONLY\"}"), .content_type = MEDIA_TYPE });
    return true;
}

/* Whether versions[index] is the first of its subject in the set. */
static bool is_first_of_subject(size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(bt_schemas.versions[i].subject, bt_schemas.versions[index].subject) == 0)
            return false;
    return true;
}

static bool answer_subjects(qa_call *call)
{
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '[');
    for (size_t i = 0; i < bt_schemas.version_count; i++)
        if (is_first_of_subject(i))
            bt_json_str(&json, NULL, bt_str_of(bt_schemas.versions[i].subject));
    bt_json_close(&json, ']');
    answer_json(call, &json, NULL);
    bt_buf_release(&json);
    return true;
}

static bool answer_versions(qa_call *call)
{
    bt_str subject = bt_http_param(call->http, "subject");
    size_t count = 0;
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '[');
    for (size_t i = 0; i < bt_schemas.version_count; i++)
        if (bt_str_is(subject, bt_schemas.versions[i].subject)) {
            bt_json_i64(&json, NULL, bt_schemas.versions[i].version);
            count++;
        }
    bt_json_close(&json, ']');
    if (count > 0)
        answer_json(call, &json, NULL);
    else
        refuse(call, 404, 40401, "Subject not found");
    bt_buf_release(&json);
    return true;
}

/* The version of a subject that the path names, or its latest; NULL: answered. */
static const bt_schema_version *by_version(qa_call *call)
{
    bt_str subject = bt_http_param(call->http, "subject"), text = bt_http_param(call->http, "version");
    bool latest = bt_str_is(text, "latest") || bt_str_is(text, "-1"), known = false;
    int64_t wanted = number_of(text);
    const bt_schema_version *found = NULL;
    if (!latest && wanted == 0) {
        refuse(call, 422, 42202, "The specified version is not a valid version id; a whole number or \"latest\" is");
        return NULL;
    }
    for (size_t i = 0; i < bt_schemas.version_count; i++) {
        const bt_schema_version *version = &bt_schemas.versions[i];
        if (!bt_str_is(subject, version->subject))
            continue;
        known = true;
        if (latest ? found == NULL || version->version > found->version : version->version == wanted)
            found = version;
    }
    if (found == NULL)
        refuse(call, 404, known ? 40402 : 40401, known ? "Version not found" : "Subject not found");
    return found;
}

static bool answer_version(qa_call *call)
{
    const bt_schema_version *found = by_version(call);
    if (found == NULL)
        return true;
    bt_buf json;
    bt_buf_init(&json, QA_BODY_MAX);
    bt_json_open(&json, NULL, '{');
    bt_json_str(&json, "subject", bt_str_of(found->subject));
    bt_json_i64(&json, "version", found->version);
    bt_json_i64(&json, "id", found->id);
    bt_json_str(&json, "schemaType", BT_STR("AVRO"));
    bt_json_str(&json, "schema", bt_str_of(found->avsc));
    bt_json_close(&json, '}');
    answer_json(call, &json, NULL);
    bt_buf_release(&json);
    return true;
}

static bool answer_version_schema(qa_call *call)
{
    const bt_schema_version *found = by_version(call);
    if (found != NULL)
        qa_answer(call, &(qa_reply){ .body = bt_str_of(found->avsc), .content_type = MEDIA_TYPE });
    return true;
}

static const qa_route routes[] = {
    { .pattern = "/schemas/types", .takes_any_parameter = true, .answer_now = answer_types },
    { .pattern = "/schemas/ids/{id}", .takes_any_parameter = true, .answer_now = answer_id },
    { .pattern = "/schemas/ids/{id}/schema", .takes_any_parameter = true, .answer_now = answer_id_schema },
    { .pattern = "/schemas/ids/{id}/subjects", .takes_any_parameter = true, .answer_now = answer_id_subjects },
    { .pattern = "/schemas/ids/{id}/versions", .takes_any_parameter = true, .answer_now = answer_id_versions },
    { .pattern = "/subjects", .takes_any_parameter = true, .answer_now = answer_subjects },
    { .pattern = "/subjects/{subject}/versions", .takes_any_parameter = true, .answer_now = answer_versions },
    { .pattern = "/subjects/{subject}/versions/{version}", .takes_any_parameter = true, .answer_now = answer_version },
    { .pattern = "/subjects/{subject}/versions/{version}/schema", .takes_any_parameter = true, .answer_now = answer_version_schema },
    { .pattern = "/config", .takes_any_parameter = true, .answer_now = answer_config },
    { .pattern = "/config/{subject}", .takes_any_parameter = true, .answer_now = answer_subject_config },
    { .pattern = "/mode", .takes_any_parameter = true, .answer_now = answer_mode },
};
extern const char qa_registry_openapi[];
extern const qa_resource qa_registry;
const qa_resource qa_registry = { "registry", routes, BT_COUNT_OF(routes), qa_registry_openapi };
