#!/usr/bin/env python3
"""A write through sentinels: a master, two replicas, and a replica that is put in its place at any moment.

The sentinel that leads takes a replica off its master first, names it later, and tells the old master last. Until
then that goes on, and the other replica, still behind it, says that it has what is written. What is acknowledged
must be in the history that stays, and in it once."""
from tally import Tally
TALLY=Tally('sentinel')
M,R1,R2=0,1,2
# role: whom a server follows, itself where it is a master. has: how often it has the write. up: it lives.
# named: whom the sentinels name. chosen: whom one has taken off its master to be named.
# client: (step, whom it takes for the master, replicas that are still to be asked)
START=((M,M,M),(0,0,0),(True,)*3,M,None,('send',M,()))
def put(seq,at,value): return seq[:at]+(value,)+seq[at+1:]
def server_steps(state,harm):
    role,has,up,named,chosen,client=state
    for r in (M,R1,R2):                                                # what a master has comes to its replicas
        m=role[r]
        if m!=r and up[m] and up[r] and has[r]!=has[m] and role[m]==m:
            yield role,put(has,r,has[m]),up,named,chosen,client
    if chosen is None and named==M:                                    # a failover begins
        others=[r for r in (R1,R2) if up[r]]
        if not up[M]: others=[r for r in others if has[r]==max(has[o] for o in others)]
        elif 'planned' not in harm: others=[]
        for r in others: yield put(role,r,r),has,up,named,r,client
    if chosen is not None and named!=chosen: yield role,has,up,chosen,chosen,client
    if named!=M:                                                       # those who follow are told
        for r in (M,R1,R2):
            if r!=named and up[r] and role[r]!=named: yield put(role,r,named),put(has,r,has[named]),up,named,chosen,client
    if all(up):
        for dead in harm:                                              # one dies, and does not come back
            if dead in (M,R1,R2) and dead!=chosen: yield role,has,put(up,dead,False),named,chosen,client
def client_steps(state,rule,is_prompt):
    role,has,up,named,chosen,(step,server,rest)=state
    def to(*client): return role,has,up,named,chosen,client
    linked=[r for r in (M,R1,R2) if r!=server and up[r] and role[r]==server]
    having=[r for r in linked if has[r]==has[server]]
    if step=='send':
        if up[server] and role[server]==server:
            # What it did before it does not do again, where it has the note of that.
            count=has[server]+1 if rule=='no note' else 1
            yield role,put(has,server,count),up,named,chosen,('wait',server,())
        else: yield to('ask',server,())
    elif step=='wait':
        if not up[server] or role[server]!=server: yield to('ask',server,())
        elif len(having)>=(1 if rule=='one' else 2): yield to('done',server,())
        # Some time has passed. Whoever is well has it by then.
        elif not is_prompt or having==linked:
            yield to('ask',server,())
            if rule in ('asked','no note','not asked') and having: yield to('look',server,() if rule=='not asked' else (R1,R2))
    elif step=='ask':
        # It was sent, and stays with the server until another is named.
        if named!=server: yield to('send',named,())
        else: yield to('wait' if up[server] and role[server]==server else 'ask',server,())
    elif step=='look':
        if not rest: yield to('done',server,())
        elif up[rest[0]] and role[rest[0]]==rest[0] and rest[0]!=server: yield to('ask',server,())
        else: yield to('look',server,rest[1:])
def explore(title,rule,harm,is_prompt=True):
    seen,todo,bad,example,is_done={START},[START],0,None,False
    while todo:
        state=todo.pop(); role,has,up,named,chosen,client=state
        is_done|=client[0]=='done'
        # Nobody who lives is still to be told: this history stays.
        is_settled=up[named] and all(role[r]==named for r in (M,R1,R2) if up[r])
        if client[0]=='done' and is_settled and has[named]!=1:
            bad+=1; example=example or f'acknowledged by {client[1]}, and {named} has it {has[named]} times'
        for nxt in [*server_steps(state,harm),*client_steps(state,rule,is_prompt)]:
            if nxt not in seen: seen.add(nxt); todo.append(nxt)
    TALLY.tell(title,len(seen),bad or not is_done,example or 'nothing is ever acknowledged')
explore('one of two replicas has it, nobody is replaced','one',())
explore('one of two replicas has it, the master dies','one',(M,))
explore('WRONG one of two replicas has it, a master that is well is replaced','one',('planned',))
explore('both have it, a master that is well is replaced','both',('planned',))
for dead in (M,R1,R2):
    explore(f'those that live have it, the other is asked whether it is a master; {dead} dies','asked',('planned',dead))
explore('WRONG nobody is asked','not asked',('planned',))
explore('WRONG it is carried out once more where the note was','no note',('planned',))
# What the rule does not keep, and kv-format(5) tells: a replica that is behind for longer than it is waited for.
explore('WRONG a replica that lags takes the place','asked',('planned',),is_prompt=False)
explore('both have it, however they lag','both',('planned',),is_prompt=False)
TALLY.end()
