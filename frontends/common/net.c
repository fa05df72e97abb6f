/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "mem/base/compat/text.h"
#include "net.h"
#include "net_slirp.h"
#include "pcap.h"

/* Frames on their way to the guest, one behind the other. A sender that does not wait loses what does not fit, as on
 * every wire. */
#define WAITING_MAX (4u << 20)

struct waiting {
	struct waiting *next;
	size_t len;
	unsigned char frame[];
};

struct net {
	struct net_slirp *slirp; /* NULL: nobody at the other end */
	struct pcap *pcap;       /* NULL: none */
	struct waiting *first, **last;
	size_t waiting;          /* bytes */
};

static struct net *failed(struct net *net, char **error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vasprintf(error, format, ap) < 0)
		*error = NULL;
	va_end(ap);
	if (net)
		net_close(net);
	return NULL;
}

static void arrived(void *owner, const void *frame, size_t len)
{
	struct net *net = owner;
	struct waiting *w = net->waiting + len > WAITING_MAX ? NULL : malloc(sizeof *w + len);

	if (!w)
		return;
	w->next = NULL;
	w->len = len;
	memcpy(w->frame, frame, len);
	*net->last = w;
	net->last = &w->next;
	net->waiting += len;
}

struct net *net_open(const char *spec, const char *capture, char **error)
{
	struct net *net = calloc(1, sizeof *net);

	if (!net)
		return failed(net, error, "out of memory");
	net->last = &net->first;
	if (!strncmp(spec, "user", 4) && (!spec[4] || spec[4] == ',')) {
		net->slirp = net_slirp_new(spec + 4 + !!spec[4], arrived, net, error);
		if (!net->slirp) {
			net_close(net);
			return NULL;
		}
	} else if (strcmp(spec, "none")) {
		return failed(net, error, "there is no network '%s', only user and none", spec);
	}
	if (capture) {
		net->pcap = pcap_open(capture);
		if (!net->pcap)
			return failed(net, error, "cannot write %s: %s", capture, strerror(errno));
	}
	return net;
}

static void drop_first(struct net *net)
{
	struct waiting *w = net->first;

	net->first = w->next;
	if (!net->first)
		net->last = &net->first;
	net->waiting -= w->len;
	free(w);
}

bool net_close(struct net *net)
{
	bool ok;

	if (net->slirp)
		net_slirp_free(net->slirp);
	while (net->first)
		drop_first(net);
	ok = !net->pcap || pcap_close(net->pcap);
	free(net);
	return ok;
}

bool net_connected(const struct net *net)
{
	return net->slirp;
}

void net_output(struct net *net, const void *frame, size_t len, uint64_t ns)
{
	if (net->pcap)
		pcap_frame(net->pcap, ns, frame, len);
	if (net->slirp)
		net_slirp_input(net->slirp, frame, len, ns);
}

/* While the guest is behind, the host's connections wait: that is how they learn to be slower. */
unsigned net_poll(struct net *net, struct pollfd *fds, unsigned max, int64_t *wait)
{
	if (net->first || !net->slirp)
		return 0;
	return net_slirp_poll(net->slirp, fds, max, wait);
}

void net_deliver(struct net *net, const struct pollfd *fds, unsigned count, vcpu *machine)
{
	uint64_t ns = vcpu_virtual_ns(machine);

	if (net->slirp && !net->first)
		net_slirp_work(net->slirp, fds, count, ns);
	while (net->first && !vcpu_input(machine, VCPU_NET, net->first->frame, net->first->len)) {
		if (net->pcap)
			pcap_frame(net->pcap, ns, net->first->frame, net->first->len);
		drop_first(net);
	}
}
