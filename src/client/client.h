/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

/* Calls of the registry (org.mctl.Registry1(5)) and of the service manager. Each function waits for the
 * answer without a time limit: polkit may ask for a password, and copies take their time. On failure, a
 * function returns a negative errno and sets a text for people (basic/failure.h). The caller frees an
 * answer. `ret` may be NULL. */

#define REGISTRY_NAME      "org.mctl.Registry1"
#define REGISTRY_PATH      "/org/mctl/Registry1"
#define REGISTRY_INTERFACE "org.mctl.Registry1"

/* The object that is called. */
typedef struct ClientObject {
        const char *name, *path, *interface;
} ClientObject;

extern const ClientObject client_registry, client_systemd;

/* A question changes nothing, and is therefore repeated if the registry dies before it answers. */
typedef enum ClientKind {
        CLIENT_CHANGE,
        CLIENT_QUESTION,
} ClientKind;

/* Sends a call and waits for the answer. */
int client_send(sd_bus *bus, ClientKind kind, sd_bus_message *request, sd_bus_message **ret,
                char **ret_error);

/* Calls a method with arguments as in sd_bus_message_append(3). */
int client_call(sd_bus *bus, ClientKind kind, const ClientObject *object, const char *method,
                sd_bus_message **ret, char **ret_error, const char *types, ...);
int client_callv(sd_bus *bus, ClientKind kind, const ClientObject *object, const char *method,
                 sd_bus_message **ret, char **ret_error, const char *types, va_list ap);
