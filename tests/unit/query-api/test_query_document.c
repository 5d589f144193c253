/* The OpenAPI document: its YAML form, bodies from Avro schemas, and that it names each route of this server and no other. */
#include "query-api/openapi/document.h"
#include "query-api/server/json_text.h"
#include "tests/unit/test.h"

#include <stdio.h>

static void yaml__of_any_json__is_block_style_with_quoted_strings(void **unused)
{
    bt_buf yaml;
    bt_buf_init(&yaml, 1 << 16);
    qa_yaml_write(&yaml, BT_STR("{\"a\":{\"$ref\":\"#/x\",\"200\":[1,{\"b\":[]},[]]},\"on\":true,\"e\":{},\"t\":\"x: y\\n\"}"));
    assert_str(bt_buf_view(&yaml), "a:\n  \"$ref\": \"#/x\"\n  \"200\":\n    - 1\n    -\n      b: []\n    - []\n\"on\": true\ne: {}\nt: \"x: y\\n\"\n");
    bt_buf_release(&yaml);
}

static void a_body__from_its_avro_schema__keeps_ceilings_docs_and_what_is_required(void **unused)
{
    bt_buf json;
    bt_buf_init(&json, 1 << 16);
    qa_body_schema_write(&json, NULL,
        BT_STR("{\"type\":\"record\",\"name\":\"X\",\"doc\":\"D\",\"fields\":[{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"},\"doc\":\"A\"},"
               "{\"name\":\"seats\",\"type\":[\"null\",{\"type\":\"array\",\"items\":[\"null\",\"string\"]}],\"doc\":\"S\",\"default\":null,\"berth.max\":4,\"berth.item.max\":20}]}"));
    assert_str(bt_buf_view(&json),
        "{\"description\":\"D\",\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"at\"],\"properties\":{"
        "\"at\":{\"description\":\"A\",\"type\":\"string\",\"format\":\"date-time\"},"
        "\"seats\":{\"description\":\"S\",\"type\":\"array\",\"maxItems\":4,\"items\":{\"type\":[\"string\",\"null\"],\"maxLength\":20}}}}");
    bt_buf_release(&json);
}

static bt_str paths_of(const qa_server *server)
{
    bt_str paths = BT_STR("");
    assert_true(qa_json_member(server->openapi_json, "paths", &paths));
    return paths;
}

static void every_route__of_this_server__is_in_the_document_with_its_parameters(void **unused)
{
    qa_server server = { 0 };
    qa_document_build(&server);
    for (size_t i = 0; i < qa_resource_count; i++)
        for (size_t r = 0; r < qa_resources[i]->route_count; r++) {
            const qa_route *route = &qa_resources[i]->routes[r];
            bt_str path = BT_STR(""), get = BT_STR(""), parameters = BT_STR("");
            if (!qa_json_member(paths_of(&server), route->pattern, &path) || !qa_json_member(path, "get", &get) || !qa_json_member(get, "parameters", &parameters))
                fail_msg("%s is not in the document", route->pattern);
            for (size_t p = 0; p < route->parameter_count; p++) {
                char name[64], ref[64];
                snprintf(name, sizeof name, "\"name\":\"%s\"", route->parameters[p].name);
                snprintf(ref, sizeof ref, "/parameters/%c%s\"", route->parameters[p].name[0] - 32, route->parameters[p].name + 1);
                bool named = memmem(parameters.at, parameters.size, name, strlen(name)) != NULL || memmem(parameters.at, parameters.size, ref, strlen(ref)) != NULL;
                if (!named)
                    fail_msg("parameter %s of %s is not in the document", route->parameters[p].name, route->pattern);
            }
        }
    qa_document_release(&server);
}

static void every_get__of_the_document__is_a_route(void **unused)
{
    qa_server server = { 0 };
    qa_document_build(&server);
    qa_json_walk walk = qa_json_begin(paths_of(&server));
    size_t gets = 0, twice = 0;
    for (bt_str path, operations, get, key, value; qa_json_next(&walk, &path, &operations);) {
        bool found = !qa_json_member(operations, "get", &get);
        gets += !found;
        for (size_t i = 0; !found && i < qa_resource_count; i++)
            for (size_t r = 0; !found && r < qa_resources[i]->route_count; r++)
                found = bt_str_is(path, qa_resources[i]->routes[r].pattern);
        if (!found)
            fail_msg("%.*s is in the document alone", BT_STR_ARG(path));
        qa_json_walk again = qa_json_begin(paths_of(&server));
        while (qa_json_next(&again, &key, &value))
            twice += bt_str_equal(key, path);
        twice--;
    }
    assert_true(gets > 15);
    assert_int_equal(twice, 0); /* a path that both servers have holds both methods in one member */
    qa_document_release(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml__of_any_json__is_block_style_with_quoted_strings),
        cmocka_unit_test(a_body__from_its_avro_schema__keeps_ceilings_docs_and_what_is_required),
        cmocka_unit_test(every_route__of_this_server__is_in_the_document_with_its_parameters),
        cmocka_unit_test(every_get__of_the_document__is_a_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
