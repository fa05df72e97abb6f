/* SPDX-License-Identifier: MIT */
/* The files and addresses of the command line, for the sandbox: common/sandbox.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "mem/base/compat/text.h"
#include "helper.h"
#include "sandbox.h"

/* "unix:PATH", or "SCHEME://[USER@]HOST[:PORT]/...": libnbd connects when the machine is made, and once more when the
 * server has gone. */
static void allow_nbd(struct sandbox *s, const char *uri)
{
	static const char *const resolver[] = { "/etc/hosts",    "/etc/resolv.conf", "/etc/nsswitch.conf",
						"/etc/gai.conf", "/etc/host.conf",   "/etc/services" };
	const char *host = strstr(uri, "://"), *colon;
	size_t len;

	if (!strncmp(uri, "unix:", 5) || strstr(uri, "+unix:")) {
		s->local = true;
		return;
	}
	host = host ? host + 3 : "";
	len = strcspn(host, "/?");
	colon = memchr(host, ']', len); /* of an IPv6 address */
	colon = colon ? memchr(colon, ':', len - (size_t)(colon - host)) : memchr(host, ':', len);
	if (s->nports < SANDBOX_PORTS)
		s->ports[s->nports++] = (uint16_t)(colon ? atoi(colon + 1) : 10809);
	s->internet = true;
	for (size_t i = 0; i < sizeof resolver / sizeof *resolver; i++)
		sandbox_allow(s, SANDBOX_READ, resolver[i]);
}

/* FILE[,OPTION]..., the options without a value that make a disk one to be read only in KEEP. An overlay must be there
 * to be allowed. */
static void allow_image(struct sandbox *s, const char *image, bool cdrom)
{
	char *text = strdup(image), *next = text, *file = text ? strsep(&next, ",") : NULL, *option;
	const char *overlay = NULL;
	bool keep = cdrom;

	while (next && (option = strsep(&next, ","))) {
		keep |= !strcmp(option, "readonly") || !strcmp(option, "snapshot");
		if (!strncmp(option, "overlay=", 8))
			overlay = option + 8;
	}
	if (overlay) {
		int fd = keep ? -1 : open(overlay, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);

		if (fd >= 0)
			close(fd);
		sandbox_allow(s, keep ? SANDBOX_READ : SANDBOX_READ | SANDBOX_WRITE, overlay);
	}
	if (file && strncmp(file, "nbd:", 4))
		sandbox_allow(s, keep || overlay ? SANDBOX_READ : SANDBOX_READ | SANDBOX_WRITE, file);
	free(text);
}

/* "FILE ARGUMENTS,FILE ARGUMENTS": multiboot modules; or all of it is a file. */
static void allow_modules(struct sandbox *s, const char *modules)
{
	char *text = strdup(modules), *next = text, *module;

	sandbox_allow(s, SANDBOX_READ, modules);
	while (next && (module = strsep(&next, ","))) {
		module[strcspn(module, " ")] = 0;
		sandbox_allow(s, SANDBOX_READ, module);
	}
	free(text);
}

/* Drivers, their settings, devices, and the sockets of who draws and plays: SDL opens them before the guest runs, and
 * some later. */
static void allow_window(struct sandbox *s)
{
	static const char *const read[] = { "/usr", "/lib", "/lib64",        "/etc",          "/proc",
					    "/sys", "/run", "/var/lib/dbus", "/tmp/.X11-unix" };
	static const char *const home[] = { ".Xauthority",      ".config/pulse", ".pulse-cookie",
					    ".config/pipewire", ".drirc",        ".asoundrc" };
	const char *display = getenv("DISPLAY"), *colon = display ? strrchr(display, ':') : NULL,
		   *directory = getenv("HOME");
	char path[4096];

	s->window = true;
	for (size_t i = 0; i < sizeof read / sizeof *read; i++)
		sandbox_allow(s, SANDBOX_READ, read[i]);
	for (size_t i = 0; directory && i < sizeof home / sizeof *home; i++)
		if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, home[i]) < sizeof path)
			sandbox_allow(s, SANDBOX_READ, path);
	sandbox_allow(s, SANDBOX_READ, getenv("XAUTHORITY"));
	sandbox_allow(s, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CHANGE, getenv("XDG_RUNTIME_DIR"));
	sandbox_allow(s, SANDBOX_READ | SANDBOX_WRITE, "/dev");
	sandbox_allow(s, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CHANGE, "/dev/shm");
	if (colon && colon != display && strncmp(display, "unix:", 5)) /* a display by TCP, as ssh forwards it */
		s->ports[s->nports++] = (uint16_t)(6000 + atoi(colon + 1));
}

void confine_later(struct sandbox *s, const struct run_options *o)
{
	s->off = o->no_sandbox;
	s->internet |= o->connects;
	s->local |= o->connects;
	for (unsigned i = 0; i < o->config.drives_count; i++)
		if (o->drives[i].image && !strncmp(o->drives[i].image, "nbd:", 4))
			allow_nbd(s, o->drives[i].image + 4);
	if (o->share) {
		char *directory = strndup(o->share, strcspn(o->share, ","));
		const char *options = o->share + strcspn(o->share, ",");

		sandbox_allow(s, strstr(options, ",rw") ? SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CHANGE : SANDBOX_READ,
			      directory);
		free(directory);
	}
	if (o->gdb_files)
		sandbox_allow(s, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_CHANGE, "/");
	if (o->face)
		allow_window(s);
	if (o->net && !strstr(o->net, ",restrict")) {
		s->internet = true;
		s->nports = 0;
		sandbox_allow(s, SANDBOX_READ, "/etc/resolv.conf");
	}
}

void confine_inputs(struct sandbox *s, const struct run_options *o)
{
	confine_later(s, o);
	if (o->replays) /* it names files anywhere */
		sandbox_allow(s, SANDBOX_READ, "/");
	sandbox_allow(s, SANDBOX_READ, "/usr/share"); /* firmware */
	sandbox_allow(s, SANDBOX_READ, o->config.kernel);
	sandbox_allow(s, SANDBOX_READ, o->config.bios);
	if (o->config.initrd)
		allow_modules(s, o->config.initrd);
	if (o->config.vars)
		allow_image(s, o->config.vars, false);
	for (unsigned i = 0; i < o->config.loads_count; i++) {
		const char *file = strchr(o->loads[i], '=');

		if (file)
			sandbox_allow(s, SANDBOX_READ, file + 1);
	}
	for (unsigned i = 0; i < o->config.drives_count; i++)
		if (o->drives[i].image)
			allow_image(s, o->drives[i].image, o->drives[i].cdrom);
}

bool confine(const struct sandbox *s, bool calls, bool verbose)
{
	const char *lacks = NULL;
	bool ok = calls ? sandbox_calls(s, &lacks) : sandbox_files(s, &lacks);

	helper_seal();
	if (lacks && verbose)
		complain("this host has no %s", lacks);
	if (!ok)
		complain("the sandbox cannot be entered: %s; --no-sandbox turns it off", strerror(errno));
	return ok;
}
