/* SPDX-License-Identifier: MIT */
/* Control-flow enforcement (SDM vol. 1, chapter 17): shadow stacks, which keep the return addresses a second time, and
 * the tracker of indirect branches, which must lead to ENDBR.
 *
 * IA32_U_CET and IA32_S_CET:
 *   0 shadow stacks | 1 WRSS | 2 ENDBR | 3 legacy code by a bitmap | 4 NOTRACK | 5 no suppression | 10 suppressed
 *   11 waits for ENDBR | 63-12 page of the bitmap
 *
 * Where neither is enabled nothing of this is executed: the mode says so (MODE_SHSTK, MODE_IBT). A transfer to another
 * code segment is made in two steps, of which only the first can fault. */
#ifndef CPU_CET_H
#define CPU_CET_H

#include "cpu/cpu.h"

enum { CET_SHSTK = 1, CET_WRSS = 2, CET_ENDBR = 4, CET_LEGACY = 8, CET_NOTRACK = 0x10, CET_NO_SUPPRESS = 0x20,
       CET_SUPPRESS = 0x400, CET_WAIT = 0x800 };
/* Error codes of #CP. */
enum { CP_NEAR_RET = 1, CP_FAR_RET, CP_ENDBR, CP_RSTORSSP, CP_SETSSBSY };

static inline u64 *cet_control(struct cpu *c, unsigned cpl) { return cpl == 3 ? &c->u_cet : &c->s_cet; }
/* Is WHAT (CET_SHSTK, CET_ENDBR) enabled at CPL? */
static inline bool cet_on(const struct cpu *c, unsigned cpl, u64 what)
{
	return unlikely(c->cr4 & CR4_CET) && c->cr0 & CR0_PE && !(c->eflags & FL_VM) &&
	       (cpl == 3 ? c->u_cet : c->s_cet) & what;
}
u64 cet_mode(const struct cpu *c);                    /* MODE_*, with CR4.CET */
bool cet_control_valid(const struct cpu *c, u64 v);   /* may IA32_U_CET, IA32_S_CET be this? */
void cet_track(struct cpu *c);                        /* an indirect branch has led to where RIP is */
/* At RIP is no ENDBR: does the bitmap say that the code is older? False: #CP, or a fault of the bitmap. */
bool cet_legacy_code(struct cpu *c, u64 rip);

/* ---- shadow stacks ---- */

/* SIZE is 4 or 8; the user's or the supervisor's. False: #PF, or #GP(0) for an address that is not canonical. */
bool shadow_read(struct cpu *c, u64 linear, unsigned size, bool user, u64 *v);
bool shadow_check(struct cpu *c, u64 linear, unsigned size, bool user); /* could it be written? */
bool shadow_write(struct cpu *c, u64 linear, unsigned size, bool user, u64 v);
/* The supervisor's 8 bytes at LINEAR become NEW if they are OLD; *WAS: what they were. */
bool shadow_exchange(struct cpu *c, u64 linear, bool user, u64 old, u64 new, u64 *was);

/* ---- transfers ---- */

/* A call, or an interruption, that saves CS:LIP:SSP. */
struct shadow_call {
	bool on, saves_user, token, frame;
	u64 ssp, old; /* SSP of the frame, and before it */
	unsigned cpl;
};
/* CPL: the new one. IST: of the gate; 0 none. L: to 64-bit code. False: fault. */
bool shadow_call_check(struct cpu *c, struct shadow_call *s, unsigned cpl, unsigned ist, bool l);
/* CS and LIP: where it returns to. At the new CPL. */
void shadow_call_do(struct cpu *c, const struct shadow_call *s, u16 cs, u64 lip);

/* A return from such. */
struct shadow_return { bool on, off; u64 ssp, token; };
/* CPL: the new one; CS and LIP: where it goes. */
bool shadow_return_check(struct cpu *c, struct shadow_return *s, unsigned cpl, u16 cs, u64 lip, bool l);
void shadow_return_do(struct cpu *c, const struct shadow_return *s);

/* A task switch. The old task's address and SSP go to the shadow stack of a task that it calls, and come back with the
 * IRET: CS, LIP and SSP are what is pushed, or what was popped. */
struct shadow_task { bool user, pushes, popped; u64 cs, lip, ssp, token; };
/* CPL: of the new task. NEXT: RIP to return to. RETURNS: by IRET; NESTS: the new task will. Nothing has changed, and
 * false is a fault. */
bool shadow_task_check(struct cpu *c, struct shadow_task *t, unsigned cpl, u64 next, bool returns, bool nests);
void shadow_task_leave(struct cpu *c, const struct shadow_task *t);
/* In the new task, with its segments; its TSS is at BASE, or, 0, has 16 bits. */
bool shadow_task_enter(struct cpu *c, const struct shadow_task *t, u64 base, bool returns);

/* A jump to a segment of 32-bit code wants an SSP of 32 bits. */
bool shadow_jump_check(struct cpu *c, bool l);
void cet_track_far(struct cpu *c);                    /* behind a far jump */
/* SYSCALL and SYSENTER, before CPL changes; SYSRET and SYSEXIT. */
void cet_enter(struct cpu *c);
void cet_leave(struct cpu *c);

#endif
