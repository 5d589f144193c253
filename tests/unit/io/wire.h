/* wire - a client that can be as rude as it likes: raw bytes over a socket, and the server that the front's tests talk to. */
#ifndef BERTH_TESTS_UNIT_IO_WIRE_H
#define BERTH_TESTS_UNIT_IO_WIRE_H

#include "core/base.h"
#include "io/http/http.h"

extern const char *wire_backend; /* "civetweb", "loop", "loops" (three of them) or "pool" (a loop and handler threads); from the command line */
extern bt_http_server *wire_server;

/* A server with short timeouts; the options' other fields are kept. */
void wire_start(bt_http_options options);
/* Stops it and asserts that nothing was cut off. */
void wire_stop(void);

#define WIRE_ANSWER_MAX (8 << 20)
typedef struct wire_answer {
    int status; /* 0: the connection was closed, or nothing came in time */
    char head[8192];
    char *body; /* zero-terminated; freed by wire_forget */
    size_t body_size;
    bool closed; /* the server closed the connection after it */
} wire_answer;

int wire_connect(void);
void wire_send(int fd, const char *bytes, size_t size);
void wire_say(int fd, const char *text);
/* Reads one answer, by its Content-Length; expects_body is false for HEAD. */
wire_answer wire_hear(int fd, bool expects_body, int timeout_ms);
/* True when the server closes within the time. */
bool wire_is_closed(int fd, int timeout_ms);
void wire_forget(wire_answer *answer);
/* One whole exchange on a connection of its own. */
wire_answer wire_ask(const char *text);
const char *wire_header(const wire_answer *answer, const char *name, char ret_value[256]);

/* What the handlers below do is said in their names. */
extern _Atomic int wire_held_count; /* requests that POST /held has taken and not answered */
void wire_release_held(void);       /* answers them all, from another thread than took them */
extern _Atomic int wire_handled_count;

#endif
