/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "basic/macro.h"

/* Singly linked lists: items have a pointer "next", and the head points to the first item or is NULL. An
 * item is in one list at a time. */

#define LIST_PREPEND(head, item)        \
        do {                            \
                (item)->next = *(head); \
                *(head) = (item);       \
        } while (false)

#define LIST_APPEND(head, item)                  \
        do {                                     \
                typeof(item) *_tail = (head);    \
                while (*_tail)                   \
                        _tail = &(*_tail)->next; \
                (item)->next = NULL;             \
                *_tail = (item);                 \
        } while (false)

/* Removes an item from the list. True if the list had the item. */
#define LIST_REMOVE(head, item)                \
        ({                                     \
                typeof(item) *_at = (head);    \
                while (*_at && *_at != (item)) \
                        _at = &(*_at)->next;   \
                bool _found = *_at;            \
                if (_found)                    \
                        *_at = (item)->next;   \
                _found;                        \
        })
