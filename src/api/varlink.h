/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <systemd/sd-event.h>

#include "basic/str.h"

/* A small server of the varlink protocol (varlink.org): JSON objects, each ended by a NUL byte, over stream
 * sockets. No peer is trusted. There are limits for the size of a message, for bytes that wait to be sent,
 * for the number of connections, and for the time until a peer sends a message. */

typedef struct VarlinkServer VarlinkServer;
typedef struct VarlinkConnection VarlinkConnection;

typedef struct VarlinkMethod {
        const char *name; /* name with the interface */
        /* Answers by varlink_reply() or varlink_error(). `parameters` is an object, or NULL. A negative
         * errno ends the connection. */
        int (*run)(VarlinkConnection *c, const json_t *parameters, bool more, void *userdata);
} VarlinkMethod;

/* Makes a server without sockets. The array of methods ends with an empty entry, and must outlive the
 * server. */
int varlink_new(sd_event *event, const VarlinkMethod *methods, void *userdata, VarlinkServer **ret);

/* Listens on a path. An existing socket is replaced. */
int varlink_listen(VarlinkServer *server, const char *path);

/* Serves an existing connection. Takes ownership of the descriptor, which must not block. */
int varlink_serve(VarlinkServer *server, int fd);

/* Ends the server and its connections, and removes the socket. */
void varlink_free(VarlinkServer *server);

/* Sends an answer. Takes ownership of the parameters, which may be NULL. With `continues`, further parts of
 * the answer follow. */
int varlink_reply(VarlinkConnection *c, json_t *parameters, bool continues);
int varlink_error(VarlinkConnection *c, const char *error, json_t *parameters);

/* Sends the error for a parameter that is missing, or has the wrong type. */
int varlink_invalid(VarlinkConnection *c, const char *parameter);

/* Returns the credentials of the peer, and the start time of its process: clock ticks since boot, 0 if
 * unknown. */
uid_t varlink_peer(const VarlinkConnection *c);
pid_t varlink_peer_process(const VarlinkConnection *c);
uint64_t varlink_peer_start_time(const VarlinkConnection *c);

/* Returns the current method. */
const char *varlink_method(const VarlinkConnection *c);

/* Makes the answer to the current call come later. Until varlink_finish(), no message is read from the
 * connection. If the connection ends, the answer is dropped. */
typedef struct VarlinkCall VarlinkCall;
VarlinkCall *varlink_defer(VarlinkConnection *c);

/* Holds the current call until varlink_release(), which runs it again. varlink_was_held() tells whether the
 * current call was held before. */
VarlinkCall *varlink_hold(VarlinkConnection *c);
bool varlink_was_held(const VarlinkConnection *c);
void varlink_release(VarlinkCall *call);

/* Subscriptions: calls that get an answer for each event. */
typedef struct VarlinkListeners {
        VarlinkCall *first;
} VarlinkListeners;

/* Makes the current call a subscription, for the kinds of events in the array `kinds`, or for all if it is
 * NULL. */
int varlink_listen_in(VarlinkListeners *listeners, VarlinkConnection *c, const json_t *kinds);

/* Sends an event to all subscriptions. Takes ownership of the parameters. `kind` is NULL for events that all
 * subscriptions get. */
void varlink_tell(VarlinkListeners *listeners, const char *kind, json_t *parameters);

/* Frees the subscriptions. The server ends their connections. */
void varlink_listeners_clear(VarlinkListeners *listeners);

/* Sends a part of an answer, of which further parts follow. Takes ownership of the parameters. */
void varlink_continue(VarlinkCall *call, json_t *parameters);

/* Sends the last part of an answer, or an error, and a descriptor unless it is negative. Takes ownership of
 * all, and frees the call. */
void varlink_finish(VarlinkCall *call, const char *error, json_t *parameters, int fd);
