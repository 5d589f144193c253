/* home - GET /: one page for a person who opened the address in a browser. No script, no request beyond itself. */
#include "query-api/server/server.h"

static const char page[] =
    "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Berth</title>"
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#222}code{background:#f3f3f3;padding:.1em .3em}"
    "td{padding:.15em 1em .15em 0;vertical-align:top}</style>"
    "<h1>Berth</h1><p>Sells what can be sold once, and never sells it twice. This is the reading side; commands are <code>POST</code>ed to the commands "
    "server, or to the one <code>api</code> address that joins both.</p><table>"
    "<tr><td><a href=\"/openapi.json\">/openapi.json</a>, <a href=\"/openapi.yaml\">.yaml</a><td>the whole API, commands too"
    "<tr><td><a href=\"/v1/stops\">/v1/stops?q=</a><td>where one can board"
    "<tr><td><code>/v1/trips?from=&amp;to=&amp;date=</code><td>what goes there that day"
    "<tr><td><code>/v1/trips/{trip}</code><td>one trip: points, sections, status"
    "<tr><td><code>/v1/trips/{trip}/seats?from=&amp;to=</code><td>which seats are free"
    "<tr><td><code>/v1/trips/{trip}/holds/{hold}</code><td>one hold"
    "<tr><td><code>/v1/bookings/{booking}</code><td>one booking"
    "<tr><td><code>/v1/customers/{customer}/bookings</code><td>what a customer has"
    "<tr><td><a href=\"/subjects\">/subjects</a>, <code>/schemas/ids/{id}</code><td>the events' schemas, as a Confluent registry serves them"
    "</table><p>A command's answer carries <code>Berth-Position</code>; send it back as <code>Berth-Min-Position</code> to read your own write.</p></html>\n";

static bool answer_home(qa_call *call)
{
    bt_str body = { page, sizeof page - 1 };
    qa_answer(call, &(qa_reply){ .body = body, .content_type = "text/html; charset=utf-8", .etag = qa_etag_of_body(call, body) });
    return true;
}

static const qa_route routes[] = { { .pattern = "/", .answer_now = answer_home } };
extern const char qa_home_openapi[];
extern const qa_resource qa_home;
const qa_resource qa_home = { "home", routes, BT_COUNT_OF(routes), qa_home_openapi };
