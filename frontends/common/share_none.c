/* SPDX-License-Identifier: MIT */
/* Hosts without O_PATH: no folder is shared, since nothing there keeps a guest inside of it. */
#include <string.h>
#include "share.h"

struct share *share_open(const char *spec, char **error)
{
	(void)spec;
	*error = strdup("this host cannot share a folder: it has no O_PATH");
	return NULL;
}

void share_close(struct share *share) { (void)share; }

const char *share_tag(const struct share *share)
{
	(void)share;
	return "share";
}

void share_request(struct share *share, const void *request, size_t len) { (void)share, (void)request, (void)len; }
void share_deliver(struct share *share, vcpu *machine) { (void)share, (void)machine; }
