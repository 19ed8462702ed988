#!/usr/bin/env python3
"""Jobs: an element of a list is worked on under its lock, beside plain takers, kills and lost leases.

Two workers, one of whom comes twice, and one who takes the element without any work. A worker locks the element
and then looks whether it is there still. Its program ends well or not, and kv is killed at any step: then its
program lives on for a moment. An element is never lost, never worked on by two at once, and never handed out
while it is worked on; one that fails N times is in the other list, once."""
from collections import namedtuple
from tally import Tally
TALLY=Tally('jobs')
N=2
# etag: of the element, 0 where it is gone. failed: how often it is in the other list. lock, listlock: who holds it.
# runs: whose program runs. starts, done, got: programs begun, ended well; elements taken without
# work. claimer: who gave it its etag.
S=namedtuple('S','etag last failed lock listlock count runs starts done got kills claimer bad')
P=namedtuple('P','step rounds mine')
def spoil(s,what): return s if s.bad else s._replace(bad=what)
def free(s,p): return s._replace(lock=None if s.lock==p else s.lock,listlock=None if s.listlock==p else s.listlock)
def worker(s,me,p,how):
    """What a worker may do next."""
    to=lambda s,step,mine=me.mine: (s,P(step,me.rounds,mine))
    end=lambda s: (free(s,p),P('idle',me.rounds-1,0))
    step=me.step
    if step=='idle' and me.rounds: yield to(s,'listlock' if 'list' in how else 'look')
    elif step=='listlock' and s.listlock is None: yield to(s._replace(listlock=p),'look')
    elif step=='look': yield to(s,'lock',s.etag) if s.etag else end(s)
    elif step=='lock':
        if s.lock is not None: yield end(s)
        else: yield to(s._replace(lock=p),'touch' if 'touch' in how else 'get')
    elif step=='touch':                                  # a new etag, for who has looked already
        if not s.etag: yield end(s)
        else: yield to(s._replace(etag=s.last+1,last=s.last+1,claimer=p),'get',s.last+1)
    elif step=='get':
        if 'no second look' in how: yield to(s,'count')
        elif not s.etag or 'touch' in how and s.etag!=me.mine and 'any etag' not in how: yield end(s)
        else: yield to(s._replace(listlock=None if s.listlock==p else s.listlock),'count',s.etag)
    elif step=='count':
        if 'attempts' in how and s.count>=N: yield to(s,'move')
        else: yield to(s._replace(count=s.count+('attempts' in how and 'late' not in how)),'start')
    elif step=='start':
        s=s._replace(runs=tuple(sorted(s.runs+(p,))),starts=s.starts+1)
        if len(s.runs)>1 and 'lease' not in how: s=spoil(s,'two work at once')
        if s.got and 'lease' not in how: s=spoil(s,'worked on what another has taken')
        if s.done and not s.kills and 'lease' not in how: s=spoil(s,'done twice, and nobody was killed')
        if 'attempts' in how and s.starts>N: s=spoil(s,f'begun {s.starts} times')
        yield to(s,'run')
    elif step=='run':
        s=s._replace(runs=tuple(r for r in s.runs if r!=p))
        yield to(s._replace(done=s.done+1),'remove')
        yield to(s,'failed')
    elif step=='remove':
        if s.etag and (s.etag==me.mine or 'by key' in how):
            if s.claimer!=p if 'lease' in how else s.runs: s=spoil(s,'removed by one who has lost it')
            s=s._replace(etag=0)
        yield end(s)
    elif step=='failed':
        count=s.count+('late' in how)
        s=s._replace(count=count)
        yield to(s,'move') if 'attempts' in how and count>=N else end(s)
    elif step=='move':
        first,then=('away','arrive') if 'away first' in how else ('arrive','away')
        s=put(s,how) if first=='arrive' else away(s,me)
        yield to(s,'moved')
    elif step=='moved': yield end(put(s,how) if 'away first' in how else away(s,me))
    elif step=='orphan':                                 # kv is dead; its program ends by that
        yield (free(s._replace(runs=tuple(r for r in s.runs if r!=p)),p),P('idle',me.rounds-1,0))
def put(s,how):
    """Under the number that it has; what is there under that number is the same element."""
    s=s._replace(failed=s.failed+1 if 'pushed' in how else 1)
    return spoil(s,'twice in the other list') if s.failed>1 else s
def away(s,me): return s._replace(etag=0) if s.etag==me.mine else s
def taker(s,me,p,how):
    to=lambda s,step,mine=me.mine: (s,P(step,me.rounds,mine))
    end=lambda s: (free(s,p),P('idle',me.rounds-1,0))
    check='check' if 'check first' not in how else 'look'
    if me.step=='idle' and me.rounds: yield to(s,'listlock' if 'list' in how or 'taker list' in how else ('look' if check=='check' else 'check'))
    elif me.step=='listlock' and s.listlock is None: yield to(s._replace(listlock=p),'look')
    elif me.step=='look': yield to(s,'check' if check=='check' else 'take',s.etag) if s.etag else end(s)
    elif me.step=='check': yield to(s,'take' if check=='check' else 'look') if s.lock is None or 'no check' in how else end(s)
    elif me.step=='take':
        if s.etag==me.mine:
            s=s._replace(etag=0,got=s.got+1)
            if s.runs and 'lease' not in how: s=spoil(s,'taken from who works on it')
        yield end(s)
def steps(s,procs,how):
    for p,me in enumerate(procs):
        kind=taker if p==len(procs)-1 else worker
        for s2,me2 in kind(s,me,p,how): yield s2,procs[:p]+(me2,)+procs[p+1:]
        if me.step not in ('idle','orphan') and s.kills<2:
            s2=s._replace(kills=s.kills+1)
            if me.step=='run':                           # the program has the lock too, and dies behind kv
                orphan=P('orphan',me.rounds,0)
                yield (s2 if 'inherit' in how or 'lease' in how else free(s2,p)),procs[:p]+(orphan,)+procs[p+1:]
            else: yield free(s2,p),procs[:p]+(P('idle',me.rounds-1,0),)+procs[p+1:]
        if 'lease' in how and s.lock==p: yield s._replace(lock=None),procs
def explore(title,how):
    start=(S(1,1,0,None,None,0,(),0,0,0,0,None,''),(P('idle',2,0),P('idle',1,0),P('idle',1,0)))
    seen,todo,bad,example={start},[start],0,None
    while todo:
        s,procs=todo.pop()
        if not (s.etag or s.failed or s.done or s.got): s=spoil(s,'lost')
        if s.bad:
            bad+=1; example=example or s.bad
            continue
        for state in steps(s,procs,how):
            if state not in seen: seen.add(state); todo.append(state)
    TALLY.tell(title,len(seen),bad,example)
LIST={'list','inherit'}
explore('claimed and taken under the lock of the list',LIST)
explore('WRONG claimed without the lock of the list',{'taker list','inherit'})
explore('WRONG taken by who does not ask for the lock of the element',LIST|{'no check'})
explore('WRONG the lock is kv\'s alone, and its program outlives it for a moment',{'list'})
explore('WRONG not looked at again under the lock of the element',{'touch','no second look','inherit'}-{'touch'})
TOUCH={'touch','inherit'}
explore('claimed by a new etag, taken by the one that was seen before the lock was asked for',TOUCH)
explore('WRONG claimed without a new etag',{'inherit'})
explore('WRONG the lock is asked for before the etag is seen',TOUCH|{'check first'})
explore('a lease that may be lost: done is removed by its etag',{'touch','lease'})
explore('WRONG the same, by the etag that is there after the claim, which may be of another claim',{'touch','lease','any etag'})
explore('WRONG the same, and it is removed by its key',{'touch','lease','by key'})
ATTEMPTS=LIST|{'attempts'}
explore('attempts are counted before they begin; the last failure moves it, or who comes next',ATTEMPTS)
explore('WRONG attempts are counted when they have failed',ATTEMPTS|{'late'})
explore('WRONG moved away first',ATTEMPTS|{'away first'})
explore('WRONG pushed to the other list under a new number',ATTEMPTS|{'pushed'})
TALLY.end()
