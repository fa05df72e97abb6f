/* SPDX-License-Identifier: MIT */
/* cause: a privileged instruction at CPL 3 */
	.include "start.inc"
	.include "user.inc"
_start:	enter_user user
user:	cli
