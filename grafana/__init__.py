"""What SREs look at: dashboards as values, written as Grafana's JSON; rules for Prometheus.

board       what a dashboard is made of
overview    are users well, and whose doing is it?
routing     what does the student serve, and why not more?
divergence  do student and teacher agree?
engines     what do the engines carry?
write       boards to JSON files (`make dashboards`)
"""
