/* SPDX-License-Identifier: MIT */
/* A configuration as text, "name=value" lines, for recordings. */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include "lib/vcpu.h"
#include "mem/base/bits.h"

/* All of it but the contents of images and the callback, malloc'd; NULL: no memory. Numbers that are zero and strings
 * that are NULL are left out. A drive that would be written becomes a snapshot of itself. */
char *config_write(const struct vcpu_config *config);

/* One that was read: strings and drives point into what it owns. */
struct config_text {
	struct vcpu_config config;
	struct vcpu_drive drives[VCPU_DRIVES];
	const char *loads[VCPU_LOADS];
	char *text; /* malloc'd */
};
/* From LEN bytes of TEXT. False: *ERROR says what is wrong with which line. */
bool config_read(struct config_text *c, const char *text, size_t len, char **error);
void config_free(struct config_text *c);

#endif
