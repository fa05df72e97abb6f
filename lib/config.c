/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/config.h"
#include "lib/machine.h"

enum kind { NUMBER, UNSIGNED, FLAG, TEXT };

static const struct key {
	const char *name;
	size_t offset;
	enum kind kind;
} keys[] = {
#define KEY(member, kind) { #member, offsetof(struct vcpu_config, member), kind }
	KEY(memory, NUMBER), KEY(cpu, TEXT), KEY(bare, FLAG), KEY(kernel, TEXT), KEY(initrd, TEXT), KEY(append, TEXT),
	KEY(processors, UNSIGNED), KEY(bios, TEXT), KEY(vars, TEXT), KEY(display, TEXT), KEY(boot, TEXT),
	KEY(ide, FLAG),
	KEY(nic, TEXT), KEY(console, FLAG), KEY(rng, FLAG), KEY(share, TEXT), KEY(sound, FLAG),
	KEY(serial_instant, FLAG),
	KEY(test_ports, FLAG), KEY(ns_per_instruction_q16, NUMBER), KEY(seed, NUMBER), KEY(rtc, NUMBER),
#undef KEY
};
static const char *const bus_names[] = { "ide", "ahci", "virtio", "floppy", "shelf" };

/* ---- writing ---- */

struct text { char *s; size_t len, room; bool failed; };

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *format, ...)
{
	va_list ap;
	int n;

	if (t->failed)
		return;
	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (t->len + (size_t)n + 1 > t->room) {
		size_t room = 2 * (t->room + (size_t)n + 1);
		char *s = realloc(t->s, room);

		if (!s) {
			t->failed = true;
			return;
		}
		t->s = s;
		t->room = room;
	}
	va_start(ap, format);
	t->len += (size_t)vsnprintf(t->s + t->len, t->room - t->len, format, ap);
	va_end(ap);
}

/* A line ends at a newline, so one in a value is written as \n, and \ as \\. */
static void add_escaped(struct text *t, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			add(t, "\\n");
		else
			add(t, *value == '\\' ? "\\\\" : "%c", *value);
	}
	add(t, "\n");
}

/* Who repeats a run must not write to its images again. */
static void add_image(struct text *t, const char *image)
{
	bool safe = !*image || strstr(image, ",snapshot") || strstr(image, ",readonly");

	add_escaped(t, image);
	if (!safe) {
		t->len--; /* the newline */
		add(t, ",snapshot\n");
	}
}

char *config_write(const struct vcpu_config *config)
{
	struct text t = { 0 };

	add(&t, "%s", "");
	for (const struct key *k = keys; k < keys + ARRAY_LEN(keys); k++) {
		const char *at = (const char *)config + k->offset;
		const char *string = k->kind == TEXT ? *(const char *const *)at : NULL;
		u64 n = k->kind == NUMBER     ? *(const uint64_t *)at
			: k->kind == UNSIGNED ? *(const unsigned *)at
			: k->kind == FLAG     ? *(const bool *)at
					      : 0;

		if (string) {
			add(&t, "%s=", k->name);
			add_escaped(&t, string);
		} else if (n) {
			add(&t, "%s=%llu\n", k->name, (unsigned long long)n);
		}
	}
	if (memcmp(config->mac, (uint8_t[6]){ 0 }, 6))
		add(&t, "mac=%02x:%02x:%02x:%02x:%02x:%02x\n", config->mac[0], config->mac[1], config->mac[2],
			config->mac[3], config->mac[4],
			config->mac[5]);
	for (unsigned i = 0; i < config->drives_count && i < VCPU_DRIVES; i++) {
		const struct vcpu_drive *d = &config->drives[i];

		add(&t, "drive=%s,%s,", (unsigned)d->bus < ARRAY_LEN(bus_names) ? bus_names[d->bus] : "ide",
		    d->cdrom ? "cdrom" : "disk");
		add_image(&t, d->image ? d->image : "");
	}
	for (unsigned i = 0; i < config->loads_count && i < VCPU_LOADS; i++) {
		add(&t, "load=");
		add_escaped(&t, config->loads[i]);
	}
	if (t.failed) {
		free(t.s);
		return NULL;
	}
	return t.s;
}

/* ---- reading ---- */

static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (*s == '\\' && s[1])
			*to++ = *++s == 'n' ? '\n' : *s;
		else
			*to++ = *s;
	}
	*to = 0;
}

/* A name goes into messages, and these to a terminal: no control characters. */
static bool is_name(const char *s)
{
	while (*s && (unsigned char)*s >= ' ' && *s != 0x7f)
		s++;
	return !*s;
}

static bool number(const char *s, u64 *n)
{
	char *end;

	*n = strtoull(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end;
}

static bool read_drive(struct config_text *c, char *value)
{
	struct vcpu_drive *d = &c->drives[c->config.drives_count];
	char *kind = strchr(value, ','), *image = kind ? strchr(kind + 1, ',') : NULL;
	unsigned bus = 0;

	if (!image || c->config.drives_count == VCPU_DRIVES)
		return false;
	*kind++ = *image++ = 0;
	while (bus < ARRAY_LEN(bus_names) && strcmp(value, bus_names[bus]))
		bus++;
	if (bus == ARRAY_LEN(bus_names))
		return false;
	unescape(image);
	if (!is_name(image))
		return false;
	*d = (struct vcpu_drive){ *image ? image : NULL, (enum vcpu_bus)bus, !strcmp(kind, "cdrom") };
	c->config.drives_count++;
	return true;
}

static bool read_value(struct config_text *c, const struct key *k, char *value)
{
	char *at = (char *)&c->config + k->offset;
	u64 n = 0;

	if (k->kind == TEXT) {
		unescape(value);
		*(const char **)at = value;
		return is_name(value) || k->offset == offsetof(struct vcpu_config, append);
	}
	if (!number(value, &n))
		return false;
	switch (k->kind) {
	case NUMBER: *(uint64_t *)at = n; return true;
	case UNSIGNED: *(unsigned *)at = (unsigned)n; return n <= UINT32_MAX;
	default: *(bool *)at = n; return n <= 1;
	}
}

static bool read_line(struct config_text *c, char *line)
{
	char *value = strchr(line, '=');
	unsigned mac[6];

	if (!value)
		return false;
	*value++ = 0;
	if (!strcmp(line, "drive"))
		return read_drive(c, value);
	if (!strcmp(line, "load") && c->config.loads_count < VCPU_LOADS) {
		unescape(value);
		c->loads[c->config.loads_count++] = value;
		return is_name(value);
	}
	if (!strcmp(line, "mac")) {
		if (sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x", mac, mac + 1, mac + 2, mac + 3, mac + 4, mac + 5) != 6)
			return false;
		for (int i = 0; i < 6; i++)
			c->config.mac[i] = (uint8_t)mac[i];
		return true;
	}
	for (const struct key *k = keys; k < keys + ARRAY_LEN(keys); k++)
		if (!strcmp(line, k->name))
			return read_value(c, k, value);
	return false;
}

bool config_read(struct config_text *c, const char *text, size_t len, char **error)
{
	unsigned number_of_line = 1;
	char *line, *end;

	*c = (struct config_text){ .text = malloc(len + 1) };
	if (!c->text)
		return error_set(error, "the host has no memory for a configuration");
	memcpy(c->text, text, len);
	c->text[len] = 0;
	for (line = c->text; (end = strchr(line, '\n')); line = end + 1, number_of_line++) {
		*end = 0;
		if (!read_line(c, line)) {
			config_free(c);
			return error_set(error, "its configuration cannot be understood in line %u", number_of_line);
		}
	}
	c->config.drives = c->drives;
	c->config.loads = c->loads;
	return true;
}

void config_free(struct config_text *c)
{
	free(c->text);
	c->text = NULL;
}
