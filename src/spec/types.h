/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* The types of settings. */
extern const SettingType setting_type_bind;
extern const SettingType setting_type_boolean;
extern const SettingType setting_type_capabilities;
extern const SettingType setting_type_cpu_list;
extern const SettingType setting_type_credential_file;
extern const SettingType setting_type_credential_value;
extern const SettingType setting_type_device;
extern const SettingType setting_type_environment;
extern const SettingType setting_type_hostname;
extern const SettingType setting_type_id128;
extern const SettingType setting_type_interface;
extern const SettingType setting_type_limit;
extern const SettingType setting_type_link_journal;
extern const SettingType setting_type_numa_policy;
extern const SettingType setting_type_oom_score;
extern const SettingType setting_type_overlay;
extern const SettingType setting_type_path;
extern const SettingType setting_type_path_list;
extern const SettingType setting_type_personality;
extern const SettingType setting_type_profile;
extern const SettingType setting_type_resolv_conf;
extern const SettingType setting_type_root_hash;
extern const SettingType setting_type_signal;
extern const SettingType setting_type_string;
extern const SettingType setting_type_sysctl;
extern const SettingType setting_type_system_calls;
extern const SettingType setting_type_timezone;
extern const SettingType setting_type_tmpfs;
extern const SettingType setting_type_user;
extern const SettingType setting_type_users;
extern const SettingType setting_type_volatile;
extern const SettingType setting_type_console;
extern const SettingType setting_type_words;
