/* SPDX-License-Identifier: MIT */
/* Faults that the caller asks for. */
#include "cpu/hook.h"
#include "lib/machine.h"

int vcpu_page_in(vcpu *v, uint64_t address, uint64_t len, bool write)
{
	struct cpu *c = v ? machine_selected(v) : NULL;
	u64 phys, last = address + len - 1;

	if (!c || machine_observed(v, "vcpu_page_in"))
		return -1;
	if (v->recorder || v->debug)
		return machine_error(v, "vcpu_page_in: the machine is %s", v->recorder ? "recorded" : "debugged");
	if (!(c->cr0 & CR0_PG) || c != machine_running(v) || c->activity != ACTIVITY_RUN)
		return machine_error(v, "vcpu_page_in: processor %u %s", c->id,
				     c->cr0 & CR0_PG ? "does not run" : "has no paging");
	if (len && last < address)
		return machine_error(v, "vcpu_page_in: %llx bytes at %llx wrap around", (unsigned long long)len,
				     (unsigned long long)address);
	for (u64 at = address; len && at <= last; at = (at | (PAGE_SIZE - 1)) + 1) {
		if (!page_peek(c, at, &phys)) {
			c->page_in = (struct page_in){ .wanted = true, .write = write, .linear = at };
			cpu_attention(c);
			return 1;
		}
		if ((at | (PAGE_SIZE - 1)) == ~(u64)0)
			break;
	}
	return 0;
}
