/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* The kinds of values that settings have. */
extern const SettingType setting_type_boolean;
extern const SettingType setting_type_string;
extern const SettingType setting_type_words;
extern const SettingType setting_type_environment;
extern const SettingType setting_type_signal;
extern const SettingType setting_type_hostname;
extern const SettingType setting_type_id128;
extern const SettingType setting_type_users;
