/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _sentinel_     __attribute__((sentinel))
#define _unused_       __attribute__((unused))
#define _const_        __attribute__((const))
#define _public_       __attribute__((visibility("default")))
#define _pure_         __attribute__((pure))

#define ELEMENTSOF(x)      (sizeof(x) / sizeof((x)[0]))
#define MAX(a, b)          ((a) > (b) ? (a) : (b))
#define MIN(a, b)          ((a) < (b) ? (a) : (b))
#define STRINGIFY_INNER(x) #x
#define STRINGIFY(x)       STRINGIFY_INNER(x)

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)
#define NSEC_PER_SEC  UINT64_C(1000000000)
#define USEC_INFINITY UINT64_MAX

#define UID_INVALID ((uid_t) -1)

/* Moves a resource out of a variable. The variable becomes NULL or -EBADF, so its cleanup does nothing. */
#define TAKE_GENERIC(var, type, nullvalue) \
        ({                                 \
                type *_p = &(var);         \
                type _v = *_p;             \
                *_p = (nullvalue);         \
                _v;                        \
        })
#define TAKE_PTR(ptr) TAKE_GENERIC(ptr, __typeof__(ptr), NULL)
#define TAKE_FD(fd)   TAKE_GENERIC(fd, int, -EBADF)

/* Declares FUNC_cleanup() for _cleanup_(): calls `func` on a variable of this type unless the variable is
 * NULL. */
#define DEFINE_CLEANUP(type, func)                 \
        static inline void func##_cleanup(type *p) \
        {                                          \
                if (*p)                            \
                        func(*p);                  \
        }                                          \
        struct _semicolon_

static inline void free_cleanup(void *p)
{
        free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(free_cleanup)

/* For a call that sets errno: returns 0 and positive values unchanged, and -errno for a negative value. */
#define RET_NERRNO(call)                      \
        ({                                    \
                __typeof__(call) _r = (call); \
                _r < 0 ? -errno : _r;         \
        })

/* Returns -ENOMEM if a pointer is NULL. Most functions for strings have no other error. */
#define OOM_CHECK(ptr)                  \
        do {                            \
                if (!(ptr))             \
                        return -ENOMEM; \
        } while (0)
