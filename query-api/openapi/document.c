/* document - see document.h. Pieces are joined as text; what reads the result (tests, every client's tool) proves it well-formed. */
#include "query-api/openapi/document.h"

#include "core/memory.h"
#include "query-api/server/json_text.h"
#include "schemas/trip.h"

#define DOCUMENT_MAX ((size_t)4 << 20)

extern const char qa_openapi_head[], qa_openapi_components[], qa_openapi_commands[], qa_openapi_verdicts[];

static bt_str member(bt_str object, const char *name)
{
    bt_str value;
    bool found = qa_json_member(object, name, &value);
    bt_assert(found);
    return value;
}

/* Copies the members of an object into the one that is open. */
static void add_members(bt_buf *json, bt_str object)
{
    qa_json_walk walk = qa_json_begin(object);
    char name[128];
    for (bt_str key, value; qa_json_next(&walk, &key, &value);) {
        bt_assert(key.size < sizeof name);
        memcpy(name, key.at, key.size);
        name[key.size] = 0;
        bt_json_raw(json, name, value);
    }
}

static bool is_read_path(bt_str path)
{
    for (size_t i = 0; i < qa_resource_count; i++) {
        qa_json_walk walk = qa_json_begin(member(bt_str_of(qa_resources[i]->openapi), "paths"));
        for (bt_str key, value; qa_json_next(&walk, &key, &value);)
            if (bt_str_equal(key, path))
                return true;
    }
    return false;
}

/* A path that both servers have is one member with both methods. */
static void add_paths_of(bt_buf *json, bt_str paths, bool reads)
{
    bt_str commands = member(bt_str_of(qa_openapi_commands), "paths");
    qa_json_walk walk = qa_json_begin(paths);
    char name[128];
    for (bt_str path, operations, posts; qa_json_next(&walk, &path, &operations);) {
        if (!reads && is_read_path(path))
            continue;
        bt_assert(path.size < sizeof name);
        memcpy(name, path.at, path.size);
        name[path.size] = 0;
        bt_json_open(json, name, '{');
        add_members(json, operations);
        if (reads && qa_json_member(commands, name, &posts))
            add_members(json, posts);
        bt_json_close(json, '}');
    }
}

static void add_paths(bt_buf *json)
{
    bt_json_open(json, "paths", '{');
    for (size_t i = 0; i < qa_resource_count; i++)
        add_paths_of(json, member(bt_str_of(qa_resources[i]->openapi), "paths"), true);
    add_paths_of(json, member(bt_str_of(qa_openapi_commands), "paths"), false);
    bt_json_close(json, '}');
}

static void add_components(bt_buf *json)
{
    bt_json_open(json, "components", '{');
    add_members(json, bt_str_of(qa_openapi_components));
    bt_json_open(json, "schemas", '{');
    for (size_t i = 0; i < qa_resource_count; i++)
        add_members(json, member(bt_str_of(qa_resources[i]->openapi), "schemas"));
    add_members(json, member(bt_str_of(qa_openapi_commands), "schemas"));
    for (size_t i = 0; i < TRIP_COMMAND_COUNT; i++)
        qa_body_schema_write(json, trip_commands[i]->record->name, bt_str_of(trip_commands[i]->avsc));
    bt_json_close(json, '}');
    bt_json_close(json, '}');
}

/* Blanks between tokens go; what stands in strings stays. */
static bt_str compacted(bt_str json)
{
    char *at = bt_alloc(json.size + 1);
    size_t size = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.size; i++) {
        char c = json.at[i];
        if (in_string && c == '\\')
            at[size++] = json.at[i++];
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == ' ' || c == '\n' || c == '\r' || c == '\t'))
            continue;
        at[size++] = json.at[i];
    }
    return (bt_str){ at, size };
}

void qa_document_build(qa_server *server)
{
    bt_buf json;
    bt_buf_init(&json, DOCUMENT_MAX);
    bt_json_open(&json, NULL, '{');
    add_members(&json, bt_str_of(qa_openapi_head));
    add_paths(&json);
    add_components(&json);
    bt_json_raw(&json, "x-berth-verdicts", bt_str_of(qa_openapi_verdicts));
    bt_json_close(&json, '}');
    bt_assert(!json.overflow);
    server->openapi_json = compacted(bt_buf_view(&json));
    bt_buf_reset(&json);
    qa_yaml_write(&json, server->openapi_json);
    bt_assert(!json.overflow);
    server->openapi_yaml = (bt_str){ (char *)json.at, json.size }; /* the buffer's storage is the text's from here on */
}

void qa_document_release(qa_server *server)
{
    bt_release((char *)server->openapi_json.at);
    bt_release((char *)server->openapi_yaml.at);
}

static bool answer_json(qa_call *call)
{
    bt_str body = call->server->openapi_json;
    qa_answer(call, &(qa_reply){ .body = body, .etag = qa_etag_of_body(call, body) });
    return true;
}

static bool answer_yaml(qa_call *call)
{
    bt_str body = call->server->openapi_yaml;
    qa_answer(call, &(qa_reply){ .body = body, .content_type = "application/yaml", .etag = qa_etag_of_body(call, body) });
    return true;
}

static const qa_route routes[] = {
    { .pattern = "/openapi.json", .answer_now = answer_json },
    { .pattern = "/openapi.yaml", .answer_now = answer_yaml },
};
extern const char qa_openapi_openapi[];
extern const qa_resource qa_openapi;
const qa_resource qa_openapi = { "openapi", routes, BT_COUNT_OF(routes), qa_openapi_openapi };
