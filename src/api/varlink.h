/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <systemd/sd-event.h>

#include "basic/str.h"

/* A small server of the varlink protocol (varlink.org): JSON objects, each ended by a NUL byte, over stream
 * sockets. Whoever connects is a stranger: there is a bound on the size of a message, on what waits to be
 * sent, on the number of connections, and on the time that one may take to say something. */

typedef struct VarlinkServer VarlinkServer;
typedef struct VarlinkConnection VarlinkConnection;

typedef struct VarlinkMethod {
        const char *name; /* with the interface in front of it */
        /* Answers with varlink_reply() or varlink_error(). `parameters` is an object, or NULL. A negative
         * errno ends the connection. */
        int (*run)(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);
} VarlinkMethod;

/* Makes one that nobody can reach yet. The methods end with an empty one, and must outlive it. */
int varlink_new(sd_event *event, const VarlinkMethod *methods, void *userdata, VarlinkServer **ret);

/* Listens on a path, in the place of what may be there. */
int varlink_listen(VarlinkServer *server, const char *path);

/* Serves a connection that is there already. Takes the descriptor over, which does not block. */
int varlink_serve(VarlinkServer *server, int fd);

/* Ends it with its connections, and removes the socket. */
void varlink_free(VarlinkServer *server);

/* Takes the parameters over; NULL is none. `continues` says that there is more of the same answer. */
int varlink_reply(VarlinkConnection *c, json_t *parameters, bool continues);
int varlink_error(VarlinkConnection *c, const char *error, json_t *parameters);

/* A parameter that has another type than it should, or is missing. */
int varlink_invalid(VarlinkConnection *c, const char *parameter);

/* Who is at the other end, and when that process was started: clock ticks since boot, 0 where that is not
 * known. */
uid_t varlink_peer(const VarlinkConnection *c);
pid_t varlink_peer_process(const VarlinkConnection *c);
uint64_t varlink_peer_start_time(const VarlinkConnection *c);

/* The method that is being run. */
const char *varlink_method(const VarlinkConnection *c);

/* An answer that comes later. Until varlink_finish() nothing more is read from the connection; should it end
 * meanwhile, the answer goes nowhere. */
typedef struct VarlinkCall VarlinkCall;
VarlinkCall *varlink_defer(VarlinkConnection *c);

/* The call at hand waits, and is made anew by varlink_release(): what it is about may be known by then. A
 * call that was held already is one that is being made anew. */
VarlinkCall *varlink_hold(VarlinkConnection *c);
bool varlink_was_held(const VarlinkConnection *c);
void varlink_release(VarlinkCall *call);

/* Calls that are answered again and again, whenever there is something to tell. */
typedef struct VarlinkListeners {
        VarlinkCall *first;
} VarlinkListeners;

/* The call at hand is one more of them. It hears of the kinds of news in `kinds`, an array, or of all where
 * that is NULL. */
int varlink_listen_in(VarlinkListeners *listeners, VarlinkConnection *c, const json_t *kinds);

/* Tells all of them; the parameters are taken over. `kind` may be NULL for what all hear. */
void varlink_tell(VarlinkListeners *listeners, const char *kind, json_t *parameters);

/* Forgets them. Their connections are the server's to end. */
void varlink_listeners_clear(VarlinkListeners *listeners);

/* One more of several answers. Takes the parameters over. */
void varlink_continue(VarlinkCall *call, json_t *parameters);

/* The last one, or with `error` that, and a descriptor where that is not negative. Takes all of it over, and
 * frees the call. */
void varlink_finish(VarlinkCall *call, const char *error, json_t *parameters, int fd);
